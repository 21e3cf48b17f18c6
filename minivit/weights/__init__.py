"""Other people's ViTs, in and out: their files, names and settings, their positions at another image size, ONNX."""
