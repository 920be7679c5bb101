"""The page that people open. It calls the Service, as the API does; gradio is imported when the
page is mounted."""

from latentsync.server.page.mount import mount_page

__all__ = ["mount_page"]
