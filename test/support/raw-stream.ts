/** A client stream on a bare socket: fetch in one process holds 256 at most. Resolves with the first event. */
export function openRawStream(url: string, bearer: string, body: string): Promise<{ end(): void }> {
  const { hostname, port, host } = new URL(url);
  const head = [
    "POST /mcp HTTP/1.1",
    `Host: ${host}`,
    `Authorization: Bearer ${bearer}`,
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  const opened = Promise.withResolvers<{ end(): void }>();
  void Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      open: (socket) => void socket.write(`${head.join("\r\n")}\r\n\r\n${body}`),
      data: (socket, data) => {
        if (data.includes("data:")) opened.resolve({ end: () => socket.end() });
      },
      close: () => opened.reject(new Error("the stream was closed")),
      connectError: (_, error) => opened.reject(error),
    },
  });
  return opened.promise;
}
