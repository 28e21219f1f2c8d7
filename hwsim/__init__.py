"""hwsim: what a number format and a processing element cost on a whole accelerator."""
