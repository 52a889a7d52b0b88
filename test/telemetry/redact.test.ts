import { expect, test } from "bun:test";
import { newToken, tokenPrefixes } from "#src/crypto/secret.ts";
import { redact } from "#src/telemetry/redact.ts";

const kinds = Object.keys(tokenPrefixes) as (keyof typeof tokenPrefixes)[];
const secrets = [
  ...kinds.map((kind) => newToken(kind).reveal()),
  "APP_USR-1234567890123456-112233-0123456789abcdef0123456789abcdef-100200300",
  "TG-64f0c0ffee0000000001abcd-100200300",
];

test.each(secrets.map((secret) => [secret.slice(0, 3) + secret.length, secret] as const))(
  "a secret that begins with %s is replaced in every encoding, wherever in a text it stands",
  (_, secret) => {
    for (let before = 0; before < 4; before++) {
      const bytes = Buffer.concat([Buffer.alloc(before, 65), Buffer.from(secret)]);
      const forms = [
        secret,
        bytes.toString("base64"),
        bytes.toString("base64url"),
        bytes.toString("hex"),
        bytes.toString("hex").toUpperCase(),
        encodeURIComponent(`Bearer ${secret}`),
      ];
      const kept = forms.filter((form) =>
        redact(`{"text":"a ${form} b"}`).includes(form.slice(8, 40)),
      );
      expect(kept).toEqual([]);
    }
  },
);

test("what is no secret stays: ids, traces, fingerprints, addresses", () => {
  const lines = [
    `{"time":"2026-11-26T00:59:59.304Z","level":"info","event":"call","requestId":"0af7651916cd43dd8448eb211c80319c","accountId":"01a2152c-3103-7508-a505-0c61415f1f43"}`,
    `{"fingerprint":"a4d7f24d3fe9cf95a4d7f24d3fe9cf95a4d7f24d3fe9cf95a4d7f24d3fe9cf95"}`,
    "https://mcp.example.com/.well-known/oauth-protected-resource/mcp/mercadolibre",
  ];
  expect(lines.map(redact)).toEqual(lines);
});
