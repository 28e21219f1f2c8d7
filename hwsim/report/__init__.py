"""Tables, pictures and pages: what a person sees of a result.

==================  ==========================================================================
room                what it is for
==================  ==========================================================================
``wording``         column titles with units, numbers and cells as a person reads them
``files``           files that are there in full or not at all
``codecs``          a table as CSV, JSON or Parquet, and back
``tables``          tables on the terminal and in files, with the same bytes every time
``plot``            figures: ``style`` (one look, PNG and SVG), ``pareto``, ``energy_bars``;
                    ``plot.kit`` holds what they are made with
``html``            one offline page with its pictures inside, from ``templates``
``sweep_page``      the page of a sweep
``explain``         where a cost comes from: breakdowns with the source of every figure
==================  ==========================================================================

Nothing is imported here: pandas, rich, matplotlib and jinja2 are loaded where they are used.
"""
