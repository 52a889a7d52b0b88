import type { Reader } from "./read.ts";

type TlsVersion = "1.2" | "1.3";

/** HTTPS in the binary; undefined: none. */
export type TlsConfig =
  | {
      readonly kind: "files";
      readonly certificate: string;
      readonly key: string;
      readonly least: TlsVersion;
    }
  | { readonly kind: "self-signed"; readonly least: TlsVersion };

export function tlsFrom(read: Reader): TlsConfig | undefined {
  const least = read.text("TLS_MIN_VERSION") === "1.2" ? "1.2" : "1.3";
  const [certificate, key] = [read.text("TLS_CERT_FILE"), read.text("TLS_KEY_FILE")];
  const isSelfSigned = read.flag("TLS_SELF_SIGNED");
  if ((certificate === undefined) !== (key === undefined)) {
    const setting = certificate === undefined ? "TLS_CERT_FILE" : "TLS_KEY_FILE";
    read.problems.push({ setting, message: "is required: certificate and key go together" });
  }
  if (certificate === undefined || key === undefined) {
    return isSelfSigned ? { kind: "self-signed", least } : undefined;
  }
  if (isSelfSigned) {
    read.problems.push({ setting: "TLS_SELF_SIGNED", message: "must be off with TLS_CERT_FILE" });
  }
  return { kind: "files", certificate, key, least };
}
