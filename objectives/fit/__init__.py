"""The models' files say what would fit on a device, before anything is launched."""
