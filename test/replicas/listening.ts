const limitMs = 10_000;

/** Resolves when a program that was just started listens at its port of loopback. */
export async function untilListening(
  port: number,
  child: Bun.Subprocess,
  said: () => Promise<string>,
): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (child.exitCode === null && Date.now() < deadline) {
    try {
      const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
      socket.terminate();
      return;
    } catch {
      await Bun.sleep(20);
    }
  }
  child.kill("SIGKILL");
  throw new Error(`nothing listens at ${port}: ${await said()}`);
}
