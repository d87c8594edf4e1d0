"""This room looks at what runs now and says how the device is divided; it changes nothing."""
