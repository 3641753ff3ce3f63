#!/usr/bin/env python3
"""A person's edit at the endpoint in extension.py, told to Lockstep with a signed webhook.

  edit.py METHOD PATH [BODY]      for example: edit.py POST /contacts/ID/tasks '{"title": "Call"}'; GET only shows

In the environment, besides SECRET and DB: LOCKSTEP, where it takes the webhooks of this extension."""
import json, os, sys, time, uuid
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from extension import DB, PATH, answer, now, signature

LOCKSTEP = os.environ.get("LOCKSTEP", "http://127.0.0.1:8080/webhooks/timerex/main")

def tell(kind, verb, one):
    told = {"type": f"{kind[:-1]}.{verb}", "timestamp": now(), "data": one}
    id, body = f"msg_{uuid.uuid4().hex}", json.dumps(told).encode()
    for wait in (1, 5, 25, None):  # With the same id, until Lockstep has stored it.
        seconds = str(int(time.time()))
        signed = {"webhook-id": id, "webhook-timestamp": seconds, "webhook-signature": signature(id, seconds, body)}
        try:
            return urlopen(Request(LOCKSTEP, body, {"content-type": "application/json", **signed}), timeout=10).close()
        except URLError as error:
            if wait is None or (isinstance(error, HTTPError) and error.code < 500):
                sys.exit(f"not told to Lockstep: {error}")
        time.sleep(wait)

def main(method, path, body="{}"):
    with DB:
        _, one = answer(method, path, {}, json.loads(body))
    if method != "GET":
        contact, kind, id = PATH.fullmatch(path).groups()
        verb = {"POST": "created", "PUT": "updated", "DELETE": "deleted"}[method]
        tell(kind, verb, one or {"id": id, **({"contactId": contact} if contact else {})})
    print(json.dumps(one, indent=1))

main(*sys.argv[1:])
