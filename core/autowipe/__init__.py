"""AutoWipe takes burnt-in overlays out of video: perceives them, recovers what lies beneath, changes nothing else."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("autowipe")
except PackageNotFoundError:  # run from a folder that was never installed
    __version__ = "0+uninstalled"
