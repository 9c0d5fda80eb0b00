//! A web service on two nodes behind a proxy that knows which of them is up: a rolling deploy loses no request.
