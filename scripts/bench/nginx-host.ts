/** Runs nginx in a folder of its own and takes both away again, however the bench ends. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { announce } from "./child.ts";

const [program, upstream] = process.argv.slice(2);
if (program === undefined || upstream === undefined) {
  throw new Error("usage: nginx-host.ts <nginx> <upstream-url>");
}

let isEnding = false;
const folder = mkdtempSync(join(tmpdir(), "bench-nginx-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const port = freePort();
const config = join(folder, "nginx.conf");
const errorLog = join(folder, "error.log");
await Bun.write(config, configuration(folder, port, new URL(upstream).host));
const nginx = Bun.spawn([program, "-p", folder, "-c", config, "-e", errorLog], {
  stdio: ["ignore", "ignore", "ignore"],
  onExit(_, code) {
    // An interrupt from the keyboard reaches nginx too, and nginx leaves with 0.
    if (isEnding || code === 0) process.exit(0);
    console.error(`nginx ended: ${readFileSync(errorLog, "utf8").trim()}`);
    process.exit(1);
  },
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, end);

await untilListening();
announce({ url: `http://127.0.0.1:${port}/mcp` }, end);

function end(): void {
  isEnding = true;
  nginx.kill("SIGKILL");
}

function freePort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  return port;
}

/** Answers are buffered as nginx does by default; the upstream switches that off for its streams by a header. */
function configuration(folder: string, port: number, origin: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `  ${kind}_temp_path "${folder}/${kind}";`)
    .join("\n");
  return `daemon off;
master_process off;
worker_processes 1;
pid "${folder}/nginx.pid";
events { worker_connections 16384; }
http {
  access_log off;
${temporary}
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  upstream origin {
    server ${origin};
    keepalive 256;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_read_timeout 1h;
    }
  }
}
`;
}

async function untilListening(): Promise<void> {
  for (let attempt = 0; attempt < 200 && nginx.exitCode === null; attempt += 1) {
    try {
      const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
      socket.end();
      return;
    } catch {
      await Bun.sleep(25);
    }
  }
  throw new Error("nginx did not start");
}
