"""Follows a controller, as examples/follow.rs does, by server-sent events and Python's own library."""

import http.client, json, os, time, urllib.request

url, since = os.environ.get("TIDEGATE_URL", "http://127.0.0.1:8433"), 0
headers = {"Accept": "text/event-stream"}
if "TIDEGATE_TOKEN" in os.environ:
    headers["Authorization"] = "Bearer " + os.environ["TIDEGATE_TOKEN"]
while True:
    try:
        request = urllib.request.Request(f"{url}/events?since={since}&logs=false", headers=headers)
        for line in urllib.request.urlopen(request, timeout=60):  # there is a sign of life every 20 seconds
            event = json.loads(line[5:]) if line.startswith(b"data:") else {}
            since = event.get("id", since)
            if event.get("kind") in ("deploy_ok", "deploy_failed", "promote_failed"):
                print(event["kind"], event["version"], event.get("node") or event["tier"], flush=True)
    except (OSError, http.client.HTTPException):
        time.sleep(1)
