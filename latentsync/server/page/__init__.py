"""The page that people open: it calls the Service, as the API does. Nothing here needs gradio before
mount_page is called."""

from latentsync.server.page.mount import mount_page

__all__ = ["mount_page"]
