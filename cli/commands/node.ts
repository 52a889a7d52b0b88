import { type NodeIdentity, ownNode, rotateNode } from "#src/edge/identity.ts";
import { openCertificates } from "#src/gateway/certificates.ts";
import { forgetNode } from "#src/edge/peers/store.ts";
import { Failure } from "#src/failure.ts";
import { command, group, withApp } from "../command.ts";
import { agrees } from "../terminal.ts";

const show = command({
  name: "node show",
  description: "Print the names and the key of this node",
  examples: ["smartdash node show", "smartdash node show --json"],
  args: {},
  run: async () => {
    const shown = await withApp({ role: "command", isTolerant: true }, async (app) => ({
      node: ownNode(app),
      certificate: (await openCertificates(app))?.fingerprint(),
    }));
    return outcome(shown.node, shown.certificate);
  },
});

const rotate = command({
  name: "node rotate",
  description: "Replace the key and the names of this node; whoever trusts it has to trust it anew",
  examples: ["smartdash node rotate", "smartdash node rotate --yes"],
  args: { yes: { type: "boolean", description: "Do not ask" } },
  run: async ({ yes }) => {
    const question =
      "Peers will not know this node any more, and its earlier reports cannot be verified. Go on?";
    if (yes !== true && !(await agrees(question))) {
      throw new Failure("usage", "Nothing was changed", {
        hint: "Add --yes where nobody can answer",
      });
    }
    const done = await withApp({ role: "command", isTolerant: true }, async (app) => {
      const { peerId } = ownNode(app);
      const node = rotateNode(app);
      return { node, forgotten: await forgetNode(app.db, peerId).catch(() => undefined) };
    });
    const { forgotten } = done;
    const peers =
      forgotten === undefined
        ? "The database does not answer: peers that were let in keep their tokens for up to an hour."
        : `Peers that were trusted and have to be trusted anew: ${forgotten}.`;
    return {
      ...outcome(done.node),
      talk: `${peers}\nRestart the gateway: it goes on with the old key until then.`,
    };
  },
});

function outcome(node: NodeIdentity, certificate?: string) {
  const { nodeId, peerId, publicKey, fingerprint } = node;
  const lines = [
    `node id      ${nodeId}`,
    `peer id      ${peerId}`,
    `public key   ${publicKey}`,
    `fingerprint  ${fingerprint}`,
    ...(certificate === undefined ? [] : [`certificate  ${certificate}`]),
  ];
  const json = { nodeId, peerId, publicKey, fingerprint, ...(certificate && { certificate }) };
  return { json, text: lines.join("\n") };
}

export const node = group({
  name: "node",
  description: "Show or replace the identity of this node",
  subCommands: { show, rotate },
});
