"""What gunicorn has served before, unchanged."""


def app(environ, start_response):
    words = b"hello\n"
    start_response("200 OK", [("Content-Length", str(len(words)))])
    return [words]
