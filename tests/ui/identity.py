"""A small OpenID provider on loopback: asks nobody for a password. Prints its address, ends with its input."""

import base64
import hashlib
import secrets
import socket
import sys
import threading
from urllib.parse import parse_qs, urlencode

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

KEY, SECRET = "flnb-pages", "a secret of the pages"
PEOPLE = {
    "ada": {"email": "Ada@example.org", "email_verified": True, "name": "Ada O'Hara"},
    "eve": {"email": "eve@example.org", "email_verified": True},
    "mal": {"email": "ada@example.org", "email_verified": False},
    "bot": {"sub": "17"},
}
app = FastAPI()
given: dict[str, dict] = {}


@app.get("/authorize")
def authorize(
    client_id: str, redirect_uri: str, state: str, response_type: str, code_challenge: str = ""
):
    assert (client_id, response_type) == (KEY, "code")
    links = "".join(
        f'<p><a href="/agree?{urlencode({"who": who, "to": redirect_uri, "state": state, "challenge": code_challenge})}">I am {who}</a></p>'
        for who in PEOPLE
    )
    return HTMLResponse(f"<!doctype html><title>Who are you?</title>{links}")


@app.get("/agree")
def agree(who: str, to: str, state: str, challenge: str = ""):
    code = f"code-{secrets.token_hex()}"
    given[code] = {"who": who, "to": to, "challenge": challenge}
    return RedirectResponse(f"{to}?{urlencode({'code': code, 'state': state})}", 302)


@app.post("/token")
async def token(request: Request):
    said = {name: one for name, (one,) in parse_qs((await request.body()).decode()).items()}
    known = given.pop(said["code"], None)
    right = (said["client_id"], said["grant_type"]) == (KEY, "authorization_code")
    if known is None or not right or said["redirect_uri"] != known["to"] or not proven(said, known):
        return JSONResponse({"error": "invalid_grant", "error_description": SECRET}, 400)
    access = f"access-{secrets.token_hex()}"
    given[access] = known
    return {"access_token": access, "token_type": "Bearer", "refresh_token": f"refresh-{access}"}


def proven(said, known):
    """Whether who brings the code is who was sent for it: he knows a secret, or what the challenge was made of."""
    if not known["challenge"]:
        return said["client_secret"] == SECRET
    made = hashlib.sha256(said["code_verifier"].encode()).digest()
    return base64.urlsafe_b64encode(made).decode().rstrip("=") == known["challenge"]


@app.get("/userinfo")
def userinfo(request: Request):
    assert not request.query_params  # servers log addresses
    return PEOPLE[given[request.headers["Authorization"].removeprefix("Bearer ")]["who"]]


def settings(address):
    """What Panel is told of it, as an environment."""
    urls = {"AUTHORIZE": "authorize", "TOKEN": "token", "USER": "userinfo"}
    told = {f"PANEL_OAUTH_{name}_URL": f"{address}/{path}" for name, path in urls.items()}
    return {
        "PANEL_OAUTH_PROVIDER": "generic",
        "PANEL_OAUTH_KEY": KEY,
        "PANEL_OAUTH_SECRET": SECRET,
        **told,
    }


def main():
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    running = threading.Thread(target=server.run, args=([listening],), daemon=True)
    running.start()
    sys.stdout.write(f"http://localhost:{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.should_exit = True
    running.join()


if __name__ == "__main__":
    main()
