"""The page that people open: it calls the Service, as the API does. Only mount.py needs gradio."""
