"""Registries: members by file, by plugin, once each, and never a half-loaded list."""

from __future__ import annotations

import importlib.metadata
import sys
import threading

import pytest

from hwsim.spec.errors import UsageError
from hwsim.spec.registry import Registry

PREAMBLE = "from {package} import THINGS\n"


@pytest.fixture
def make_package(tmp_path, monkeypatch):
    """Return a function that writes a package of members and returns its registry."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names = []

    def make(modules, name="things_for_test"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").write_text(
            f"from hwsim.spec.registry import Registry\nTHINGS = Registry('thing', '{name}')\n"
        )
        for module, body in modules.items():
            (folder / f"{module}.py").write_text(PREAMBLE.format(package=name) + body)
        names.append(name)
        importlib.invalidate_caches()
        return importlib.import_module(name).THINGS

    yield make
    for module in [m for m in sys.modules if m.split(".")[0] in names]:
        del sys.modules[module]


def member(name):
    return f"@THINGS.register('{name}')\nclass Member:\n    pass\n"


def test_every_module_of_the_package_is_found_without_an_edit(make_package):
    things = make_package({"one": member("b"), "two": member("a"), "helper": ""})
    assert things.names() == ["a", "b"]
    assert [name for name, _ in things.items()] == ["a", "b"]
    assert things.get("a").__name__ == "Member"


def test_membership(make_package):
    things = make_package({"one": member("a")})
    assert "a" in things
    assert "b" not in things
    assert ["a"] not in things


@pytest.mark.parametrize("name", ["lmulp", "LMUL", 5, None, ["lmul"], {"a": 1}])
def test_unknown_names_are_usage_errors_with_a_hint(make_package, name):
    things = make_package({"one": member("lmul"), "two": member("bitmod")})
    with pytest.raises(UsageError, match=r"unknown thing .*; valid: bitmod, lmul") as caught:
        things.get(name)
    assert ("did you mean 'lmul'" in str(caught.value)) == (name in ("lmulp", "LMUL", ["lmul"]))


def test_the_same_name_twice_is_refused_and_says_where(make_package):
    things = make_package({"one": member("a"), "two": member("a")})
    with pytest.raises(ValueError, match=r"'a' is registered twice: .*one\.Member, .*two\.Member"):
        things.names()


def test_two_instances_under_one_name_are_refused():
    things: Registry[object] = Registry("thing", "json")
    things.register("a")(object())
    with pytest.raises(ValueError, match="registered twice"):
        things.register("a")(object())


def test_register_returns_its_argument():
    things: Registry[type] = Registry("thing", "json")

    @things.register("a")
    class Member:
        pass

    assert things.register("a")(Member) is Member


def test_a_failed_import_fails_again_and_hides_nothing(make_package, tmp_path):
    things = make_package({"one": member("a") + "import no_such_module_at_all\n", "two": member("b")})
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
            things.names()
    (tmp_path / "things_for_test" / "one.py").write_text(PREAMBLE.format(package="things_for_test") + member("a"))
    importlib.invalidate_caches()
    assert things.names() == ["a", "b"]


def test_a_member_may_ask_the_registry_while_it_is_imported(make_package):
    things = make_package({"one": member("a"), "two": "BEFORE = THINGS.names()\n" + member("b")})
    assert things.names() == ["a", "b"]
    assert sys.modules["things_for_test.two"].BEFORE == ["a"]


def test_threads_never_see_a_half_loaded_registry(make_package):
    things = make_package({"one": member("a"), "two": "import time; time.sleep(0.05)\n" + member("b")})
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(things.names())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [["a", "b"]] * 4


class TestPlugins:
    @pytest.fixture
    def plug(self, monkeypatch):
        def install(name, value):
            entry = importlib.metadata.EntryPoint(name, value, "hwsim.thing")
            found = {"hwsim.thing": [entry]}
            monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: found.get(group, []))

        return install

    def test_entry_points_take_the_same_road(self, make_package, plug):
        things = make_package({"one": member("a")})
        plug("b", "collections:OrderedDict")
        assert things.names() == ["a", "b"]
        assert things.get("b").__name__ == "OrderedDict"

    def test_a_plugin_that_does_not_load_is_named(self, make_package, plug):
        things = make_package({"one": member("a")})
        plug("b", "no_such_plugin:Thing")
        with pytest.raises(UsageError, match=r"thing plugin 'b' \(no_such_plugin:Thing\) does not load"):
            things.names()

    def test_a_plugin_cannot_take_a_built_in_name(self, make_package, plug):
        things = make_package({"one": member("a")})
        plug("a", "collections:OrderedDict")
        with pytest.raises(UsageError, match="takes a name that is in use"):
            things.names()

    def test_a_plugin_may_register_itself_as_well(self, make_package, plug):
        things = make_package({"one": member("a")})
        plug("a", "things_for_test.one:Member")
        assert things.names() == ["a"]
