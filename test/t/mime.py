"""E-mails as a reader's program sees them: what mime.c writes is parsed by Python's email package.

Holds to DESIGN.md §7: names, subjects and bodies come back as they were given, in any language; nothing that was given can
add a header, a recipient or a part; lines end with CRLF and are short; equal input gives equal bytes.
"""

import email
import email.header
import email.policy
import email.utils
import os
import random
import re
import subprocess

from server import REPOSITORY, Tests

NOTIFIER = os.path.join(REPOSITORY, "notifier")
DRIVER = os.path.join(NOTIFIER, "build", "sanitized", "mime_driver")
SAMPLE = {"key": "2024-05.1.bill.e.0", "from": "bill@example.com", "from_name": "Settle", "to": "hong@example.org", "date": "1716200000",
          "message_id": "2024-05.1.bill.e.0@example.com", "subject": "Your bill", "text": "Hello\n", "html": "<p>Hello</p>\n"}
# what names, subjects and bodies are made of
PIECES = ["요금 명세서", "홍길동", "日本語の件名", "Grüße", "فاتورتك الشهرية", "חשבון", "👩‍👩‍👧‍👦", "🧾", "é", "=?utf-8?Q?=41?=", "=?", "?=", "\"", "\\", "a,b", "<x@y>",
          "(c)", ":", ";", "@", " ", "  ", "word", "x" * 70, "한" * 40, "0", "=", "_", "=20", "\u200f", "\u00a0", "%s", "{{x}}", "."]
BODY_PIECES = PIECES + ["\n", "\n", "\r\n", " \n", "\t\n", ".\n", "\n..\n", "\nFrom x\n", "--=_2024-05.1.bill.e.0\n", "\r", "x" * 300, "\x00", "\x1b"]


def describe(fields):
    described = b""
    for name, value in fields.items():
        data = value if isinstance(value, bytes) else value.encode()
        described += f"{name} {len(data)}\n".encode() + data
    return described + b"build 0\n"


def build_all(mails):
    """For each (True, message) or (False, reason)."""
    result = subprocess.run([DRIVER], input=b"".join(describe(mail) for mail in mails), stdout=subprocess.PIPE, check=True)
    out, at, built = result.stdout, 0, []
    while at < len(out):
        line, at = out[at:out.index(b"\n", at)].split(), out.index(b"\n", at) + 1
        built.append((line[0] == b"ok", out[at:at + int(line[1])]))
        at += int(line[1])
    assert len(built) == len(mails), f"{len(built)} of {len(mails)} were built"
    return built


def lines_of(text):
    """What a body becomes on its way: every end of a line is one, and a lone CR is none."""
    return text.replace("\r\n", "\n")


class Mime:
    def __init__(self):
        self.tests = Tests()
        self.seed = int(os.environ.get("SEED", random.randrange(2**31)))
        self.random = random.Random(self.seed)
        print(f"# seed {self.seed}; set SEED to repeat it", flush=True)

    def check_form(self, name, message):
        """What holds for every message, before anybody parses it."""
        self.tests.check(message.endswith(b"\r\n") and b"\n" not in message.replace(b"\r\n", b"") and b"\r" not in message.replace(b"\r\n", b""),
                         f"{name}: CRLF is the only end of a line")
        self.tests.check(all(9 <= byte < 127 or byte in (13, 10) for byte in message), f"{name}: seven bits, no control characters")
        head, _, body = message.partition(b"\r\n\r\n")
        long = [line for line in body.split(b"\r\n") if len(line) > 76] + [line for line in head.split(b"\r\n") if len(line) > 78]
        self.tests.equal(long[:1], [], f"{name}: no line is too long")
        self.tests.equal([word for word in re.findall(r"=\?utf-8\?[BQ]\?[^?]*\?=", head.decode()) if not self.is_whole(word)], [],
                         f"{name}: every encoded word holds whole characters")

    def is_whole(self, word):
        (data, charset), = email.header.decode_header(word)
        try:
            return bool(data.decode(charset)) and len(word) <= 75
        except UnicodeDecodeError:
            return False

    def check_parsed(self, name, fields, message):
        self.check_decoded(name, fields, email.message_from_bytes(message, policy=email.policy.compat32))
        parsed = email.message_from_bytes(message, policy=email.policy.default)
        self.tests.equal(parsed.defects, [], f"{name}: it has no defects")
        self.tests.equal(str(parsed["subject"]), fields["subject"], f"{name}: subject")
        for header in ("from", "to"):
            self.tests.equal([one.addr_spec for one in parsed[header].addresses], [fields[header]], f"{name}: {header}")
        self.tests.equal(parsed["message-id"], f"<{fields['message_id']}>", f"{name}: Message-ID")
        self.tests.equal(parsed["date"].datetime.timestamp(), float(fields["date"]), f"{name}: Date")
        self.tests.equal([parsed.get_content_type()] + [part.get_content_type() for part in parsed.iter_parts()],
                         ["multipart/alternative", "text/plain", "text/html"], f"{name}: parts")
        for part, field in zip(parsed.iter_parts(), ("text", "html")):
            seen = part.get_payload(decode=True).decode(part.get_content_charset())
            self.tests.equal(seen.replace("\r\n", "\n"), lines_of(fields[field]), f"{name}: {field}")
        expected = ["from", "to", "subject", "date", "message-id", "auto-submitted", "mime-version", "content-type"]
        expected += [field[6:].lower() for field in fields if field.startswith("extra:")]
        self.tests.equal(sorted(header.lower() for header in parsed.keys()), sorted(expected), f"{name}: no other header")
        return parsed

    def test_languages(self):
        named = {
            "korean": {"to_name": "홍길동", "from_name": "요금 안내센터", "subject": "2024년 5월 요금 명세서가 나왔습니다"},
            "emoji": {"to_name": "🧾 Bill", "subject": "👩‍👩‍👧‍👦 " * 30},
            "right to left": {"to_name": "محمد", "subject": "فاتورتك الشهرية جاهزة", "html": "<p dir=rtl>فاتورتك</p>"},
            "very long subject": {"subject": "아주 긴 제목 " * 50},
            "very long subject of ASCII": {"subject": ("word " * 180).strip()},
            "a subject that is one word": {"subject": "x" * 990},
            "specials in a name": {"to_name": 'Hong, "Gil" <dong@example.com> \\ (x); y:'},
            "long name": {"to_name": "n" * 200},
            "empty parts": {"text": "", "html": ""},
            "long line": {"text": "x" * 10000, "html": "요" * 10000},
            "dots": {"text": ".\n..\n.a\n", "html": ".\n"},
            "blanks at the end": {"text": "a \nb\t\n \n\t", "html": " "},
            "boundary in a part": {"text": "--=_2024-05.1.bill.e.0\n\n--=_2024-05.1.bill.e.0--\n"},
            "extra headers": {"extra:X-Settle-Notice": "값 " * 80, "extra:Feedback-ID": "a:b:c:d"},
        }
        mails = [{**SAMPLE, **changes} for changes in named.values()]
        for name, fields, (ok, message) in zip(named, mails, build_all(mails)):
            if self.tests.check(ok, f"{name}: it is built", message):
                self.check_form(name, message)
                parsed = self.check_parsed(name, fields, message)
                for field in fields:
                    if field.startswith("extra:"):
                        self.tests.equal(str(parsed[field[6:]]), fields[field], f"{name}: {field}")

    def test_unsubscribe(self):
        (ok, message), = build_all([{**SAMPLE, "unsubscribe": "https://example.com/u/" + "x" * 300, "one_click": ""}])
        parsed = email.message_from_bytes(message, policy=email.policy.default)
        self.tests.equal((ok, parsed["List-Unsubscribe"], parsed["List-Unsubscribe-Post"]),
                         (True, "<https://example.com/u/" + "x" * 300 + ">", "List-Unsubscribe=One-Click"), "the headers of RFC 8058")

    def test_hostile(self):
        """What would add a header or a recipient is refused, and the reason names the field, and does not repeat the value."""
        poisons = ["\r\nBcc: victim@example.com", "\nBcc: victim@example.com", "\rBcc: victim@example.com", "\0", "\x7f", "\u0085Bcc: x", b"\xff", b"\xc0\x8a", b"\xe0\x80\x8a"]
        fields = {"subject": "Subject", "to_name": "To", "from_name": "From", "to": "To", "from": "From", "message_id": "Message-ID",
                  "unsubscribe": "List-Unsubscribe", "extra:X-A": "X-A", "key": "the key"}
        mails = []
        for field in fields:
            for poison in poisons:
                value = SAMPLE.get(field, "https://example.com/") + "victim"
                mails.append((field, poison, {**SAMPLE, field: value.encode() + (poison if isinstance(poison, bytes) else poison.encode())}))
        for (field, poison, _), (ok, reason) in zip(mails, build_all([mail for *_, mail in mails])):
            if poison == "\0":
                continue  # a C string ends there: the driver cannot bring it in
            self.tests.check(not ok and reason.startswith(fields[field].encode()) and b"victim" not in reason, f"{field} with {poison!r} is refused", reason)

    def test_random(self, count=400):
        """Whatever these pieces make, it comes back; and once more, byte for byte."""
        mails = []
        for _ in range(count):
            mix = lambda pieces, most, limit: "".join(self.random.choices(pieces, k=self.random.randrange(most))).encode()[:limit].decode(errors="ignore")
            mails.append({**SAMPLE, "subject": mix(PIECES, 20, 1000), "to_name": mix(PIECES, 6, 256), "from_name": mix(PIECES, 4, 256),
                          "text": mix(BODY_PIECES, 60, 20000), "html": mix(BODY_PIECES, 60, 20000)})
        again = build_all(mails)
        for number, (fields, (ok, message)) in enumerate(zip(mails, build_all(mails))):
            name = f"random mail {number} of seed {self.seed}"
            if self.tests.check(ok, f"{name}: it is built", message):
                self.check_form(name, message)
                self.check_decoded(name, fields, email.message_from_bytes(message, policy=email.policy.compat32))
            self.tests.equal(again[number][1] == message, True, f"{name}: the same bytes again")

    def check_decoded(self, name, fields, parsed):
        """By Python's decoder of encoded words alone: the newer parser of 3.11 leaves blanks between those of a name."""
        decode = lambda header: str(email.header.make_header(email.header.decode_header(header.replace("\r\n", ""))))
        self.tests.equal(decode(parsed["subject"]), fields["subject"], f"{name}: subject")
        for header in ("From", "To"):
            wanted, address = fields.get(header.lower() + "_name", ""), fields[header.lower()]
            shown, _, rest = parsed[header].replace("\r\n", "").rpartition(" <")
            seen = email.utils.unquote(shown) if shown.startswith('"') else decode(shown)
            self.tests.equal((seen, rest), (wanted, address + ">" if wanted else address), f"{name}: {header}")
        for part, field in zip(parsed.get_payload(), ("text", "html")):
            self.tests.equal(part.get_payload(decode=True).decode().replace("\r\n", "\n"), lines_of(fields[field]), f"{name}: {field}")
        self.tests.equal(len(parsed.get_payload()), 2, f"{name}: parts")

    def run(self):
        subprocess.run(["make", "-s", "-C", NOTIFIER, "SANITIZE=1", "build/sanitized/mime_driver"], check=True, stdin=subprocess.DEVNULL)
        for name in sorted(name for name in dir(self) if name.startswith("test_")):
            getattr(self, name)()
        self.tests.end()


if __name__ == "__main__":
    Mime().run()
