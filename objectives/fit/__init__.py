"""What would fit on a device, by the models' files: arithmetic before anything is launched."""
