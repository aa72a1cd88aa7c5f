"""What the kit's driver programs do: each module has a ``play(driver)``."""
