#!/usr/bin/env python3
"""An extension endpoint of Lockstep: contacts, tasks, notes and tags in a SQLite file. Python 3.9, nothing to install.

`extension.py [PORT]` answers Lockstep's calls; edit.py is what people do, and tells Lockstep of it. In the environment:
SECRET, the `whsec_...` of the extension, and DB, the file."""
import base64, hashlib, hmac, json, os, re, sqlite3, sys, time, uuid
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

SECRET = base64.b64decode(os.environ["SECRET"].replace("whsec_", "", 1))
PATH = re.compile(r"/(?:contacts/([^/]+)/)?(contacts|tasks|notes|tags)(?:/([^/]+)(?:/completed)?)?")
DB = sqlite3.connect(os.environ.get("DB", "extension.db"), timeout=30)
DB.execute("CREATE TABLE IF NOT EXISTS objects (kind, id, updated, body, PRIMARY KEY (kind, id))")
DB.execute("CREATE TABLE IF NOT EXISTS answers (key PRIMARY KEY, asked, status, body)")

class Refused(Exception):  # The status, why, and what else the problem says.
    pass

def now():
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")

def signature(id, seconds, body):
    mac = hmac.new(SECRET, f"{id}.{seconds}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode()

def is_from_lockstep(headers, body):
    id, seconds, offered = (headers.get("webhook-" + name, "") for name in ("id", "timestamp", "signature"))
    good = signature(id, seconds, body).encode()
    signed = any(hmac.compare_digest(one.encode(), good) for one in offered.split())
    return signed and abs(time.time() - int(seconds)) <= 300

def load(kind, id, contact=None, missing={"deleted": True}):
    row = DB.execute("SELECT body FROM objects WHERE kind = ? AND id = ?", (kind, id)).fetchone()
    one = json.loads(row[0]) if row else missing
    if one.get("deleted") or contact != one.get("contactId"):
        raise Refused(404, "gone")
    return one

def save(kind, one, change):
    one.update((key, value) for key, value in change.items() if key not in ("id", "contactId"))
    if kind == "tasks" and "completed" in change:
        one["status"] = "completed" if one["completed"] else "open"
    one["lastUpdated"] = now()
    DB.execute("REPLACE INTO objects VALUES (?, ?, ?, ?)", (kind, one["id"], one["lastUpdated"], json.dumps(one)))
    return one

def create(kind, fields, contact):
    known = "SELECT id FROM objects WHERE kind = 'contacts' AND json_extract(body, '$.email') = ?"
    found = DB.execute(known, (fields.get("email"),)).fetchone()
    if found:
        raise Refused(409, "a contact with this e-mail exists", {"id": found[0]})
    own = {"contactId": contact} if contact else {"tags": []}
    return save(kind, {"id": uuid.uuid4().hex, **own}, fields)

def page(kind, query):
    updated, _, id = query.get("cursor", query.get("updatedSince", "")).partition(" ")
    after = "SELECT body FROM objects WHERE kind = ? AND (updated, id) > (?, ?) ORDER BY updated, id LIMIT ?"
    items = [json.loads(body) for body, in DB.execute(after, (kind, updated, id, int(query.get("limit", 100))))]
    last = items[-1] if items else None  # The page after the last is empty, and has no cursor.
    return {"items": items, "nextCursor": last and f"{last['lastUpdated']} {last['id']}"}

def answer(method, path, query, body):
    parts = PATH.fullmatch(path)
    if not parts:
        raise Refused(404, "no such path")
    contact, kind, id = (part and unquote(part) for part in parts.groups())
    if kind == "tags":
        one = load("contacts", contact, missing={"id": contact, "tags": []})  # One that only the vendor has, in TIMIFY.
        named = [tag.lower() for tag in body.get("tags", [])]
        others = [tag for tag in one["tags"] if tag.lower() not in named]
        if method != "GET":
            save("contacts", one, {"tags": others + (named if method == "POST" else [])})
        return 200, {"tags": one["tags"]}
    if not id:
        return (200, page(kind, query)) if method == "GET" else (201, create(kind, body, contact))
    one = load(kind, id, contact)
    if method == "DELETE":
        save(kind, {key: one[key] for key in ("id", "contactId") if key in one}, {"deleted": True})
        return 204, None
    return 200, save(kind, one, body) if method == "PUT" else one

class Endpoint(BaseHTTPRequestHandler):
    timeout = 10

    def do_GET(self):
        body, url = self.rfile.read(int(self.headers.get("content-length", 0))), urlsplit(self.path)
        asked = hashlib.sha256(self.requestline.encode() + body).hexdigest()
        key = self.headers.get("idempotency-key")
        try:
            if not is_from_lockstep(self.headers, body):
                raise Refused(401, "bad signature, or a timestamp more than five minutes off")
            with DB:  # What is done and the answer to its key are kept together, or neither.
                DB.execute("BEGIN IMMEDIATE")
                kept = DB.execute("SELECT asked, status, body FROM answers WHERE key = ?", (key,)).fetchone()
                if kept and kept[0] != asked:
                    raise Refused(422, "this Idempotency-Key was used for another request")
                if kept:
                    status, said = kept[1], json.loads(kept[2])
                else:
                    query, fields = dict(parse_qsl(url.query)), json.loads(body or b"{}")
                    status, said = answer(self.command, url.path, query, fields)
                    if key:
                        DB.execute("INSERT INTO answers VALUES (?, ?, ?, ?)", (key, asked, status, json.dumps(said)))
        except Refused as refused:
            status, title, *more = refused.args
            said = {"title": title, "status": status, **(more[0] if more else {})}
        except (ValueError, KeyError, TypeError, AttributeError):
            status, said = 400, {"title": "not understood", "status": 400}
        self.send_response(status)
        self.send_header("content-type", "application/json" if status < 400 else "application/problem+json")
        self.end_headers()
        self.wfile.write(b"" if said is None else json.dumps(said).encode())

    do_POST = do_PUT = do_DELETE = do_GET

if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int((sys.argv + ["8070"])[1])), Endpoint).serve_forever()
