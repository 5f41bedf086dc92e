EXAMPLE = ""


def add(app):
    pass
