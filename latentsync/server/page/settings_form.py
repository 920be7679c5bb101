def settings_form():
    return []


def collect(values):
    return {}
