"""What every test can rely on: no setting of the caller's reaches it."""

import os

for name in [name for name in os.environ if name.startswith("GLIF_") and name != "GLIF_TEST_IMAGES"]:
    del os.environ[name]
