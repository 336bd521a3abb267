"""A second reader of seals, by docs/FORMAT.md alone: python3 read_seal.py SEAL_DIRECTORY PUBLIC_KEY ROOT...
Says whether seal and trees fit, whatever a policy says: one ROOT for each root of the seal, in its order."""
import base64, hashlib, json, os, pathlib, re, stat, subprocess, sys, tempfile
TYPES = "application/vnd.in-toto+json", "https://in-toto.io/Statement/v1", "https://cacheseal.dev/cache/v1"
def need(condition, what):
    condition or sys.exit(f"refused: {what}")
def read(*path):
    return pathlib.Path(os.fsdecode(os.path.join(*path))).read_bytes()
def run(*command, **how):
    return subprocess.run(command, capture_output=True, **how)
def opened(seal, key):
    envelope = json.loads(read(seal, "seal.json"))
    kind, payload = envelope["payloadType"], base64.b64decode(envelope["payload"], validate=True)
    def verifies(signature):
        with tempfile.NamedTemporaryFile() as text, tempfile.NamedTemporaryFile() as sig:
            text.write(b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)), text.flush()
            sig.write(base64.b64decode(signature["sig"], validate=True)), sig.flush()
            files = ("-inkey", key, "-in", text.name, "-sigfile", sig.name)
            return run("openssl", "pkeyutl", "-verify", "-rawin", "-pubin", *files).returncode == 0
    spki = run("openssl", "pkey", "-pubin", "-in", key, "-outform", "DER", check=True).stdout
    keyid = hashlib.sha256(spki).hexdigest()
    need(any(one.get("keyid") == keyid and verifies(one) for one in envelope["signatures"]), "no good signature")
    statement = json.loads(payload)
    need((kind, statement["_type"], statement["predicateType"]) == TYPES, "a type")
    return statement
def escaped(name):
    return re.sub(rb"[^!-~]|[\\#]", lambda byte: b"\\%03o" % ord(byte[0]), name, flags=re.DOTALL)
def described(path, word):
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        return b"type=link link=" + escaped(os.readlink(path))
    need(not mode & (0o7002 if stat.S_ISREG(mode) else 0o002), (path, "its mode"))
    if not stat.S_ISREG(mode):
        return b"type=dir mode=0755" if stat.S_ISDIR(mode) else b"something that is never sealed"
    data, exec_bit = read(path), "0755" if mode & 0o100 else "0644"
    tool = {"sha256": "sha256sum", "blake3": "b3sum"}[word]
    digest = run(tool, input=data, check=True).stdout[:64].decode()
    return f"type=file mode={exec_bit} size={len(data)} {word}digest={digest}".encode()
def check(tree, text, word):
    need(text.startswith(b"#mtree v2.0\n. type=dir mode=0755\n") and text.endswith(b"\n"), "the manifest's frame")
    lines = [line.split(b" ", 1) for line in text.split(b"\n")[2:-1]]
    names = [re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), name) for name, _ in lines]
    need(all(one < other for one, other in zip(names, names[1:])), "the order of the manifest")
    need(os.path.isdir(tree) and described(tree, word) == b"type=dir mode=0755", (tree, "is no directory"))
    found = [os.path.join(at, name) for at, below, files in os.walk(tree) for name in below + files]
    need({b"." + path[len(tree):] for path in found} == set(names), "missing or extra entries")
    for (name, fields), path in zip(lines, names):
        need(name == escaped(path) and fields == described(tree + path[1:], word), (path, fields))
seal, key, *trees = sys.argv[1:]
statement = opened(seal, key)
roots, subjects = statement["predicate"]["roots"], iter(statement["subject"])
need(len(roots) == len(trees), "one tree for each root")
need(set(os.listdir(seal)) == {"seal.json"}.union(root["manifest"] for root in roots if root["manifest"]), "the names")
for root, tree in zip(roots, map(os.fsencode, trees)):
    need(root["manifest"] or not os.path.lexists(tree), (tree, "was absent"))
    if not root["manifest"]: continue
    text, subject = read(seal, root["manifest"]), next(subjects)
    sealed = root["path"], hashlib.sha256(text).hexdigest()
    need((subject["name"], subject["digest"]["sha256"]) == sealed, "a manifest's digest")
    check(tree, text, root["digest"])
