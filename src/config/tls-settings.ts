import type { Setting } from "./setting.ts";

/** HTTPS in the binary, for whoever has no proxy in front. */
export const tlsSettings = {
  TLS_CERT_FILE: {
    kind: "text",
    doc: "File with the certificate chain (PEM): the gateway speaks HTTPS itself. A new one is taken within two seconds, without ending streams.",
  },
  TLS_KEY_FILE: { kind: "text", doc: "File with the private key of that certificate (PEM)." },
  TLS_SELF_SIGNED: {
    kind: "flag",
    default: "off",
    doc: "HTTPS with a certificate of the node's own, which other nodes pin (`smartdash node show` prints its fingerprint). Not for browsers.",
  },
  TLS_MIN_VERSION: {
    kind: "choice",
    choices: ["1.2", "1.3"],
    default: "1.3",
    doc: "Lowest version of TLS.",
  },
} as const satisfies Readonly<Record<string, Setting>>;
