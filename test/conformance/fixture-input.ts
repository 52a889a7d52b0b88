import {
  acceptedContent,
  fromJsonSchema,
  inputRequired,
  inputResponse,
  type McpServer,
  type RequestStateCodec,
  type ServerContext,
} from "@modelcontextprotocol/server";

import { declaredCapabilities } from "./fixture-capabilities.ts";
import { confirmation, defaults, enums, word } from "./fixture-forms.ts";
import { text } from "./fixture-tools.ts";

/**
 * The tools that ask the client for something. They return `input_required`; towards 2025-11-25
 * clients the SDK turns that into requests on the event stream.
 */
export function addInputTools(server: McpServer, states: RequestStateCodec<string>): void {
  addQuestions(server);
  addForms(server);
  addStatefulQuestions(server, states);

  server.registerTool(
    "test_input_required_result_capabilities",
    { description: "Asks only for what the client has declared" },
    (ctx) => {
      const { sampling, elicitation } = declaredCapabilities(ctx);
      const inputRequests = {
        ...(sampling && { greeting }),
        ...(elicitation && { user_name: askForName }),
      };
      if (ctx.mcpReq.inputResponses || Object.keys(inputRequests).length === 0) return text("Done");
      return inputRequired({ inputRequests });
    },
  );
}

/** One question, answered on the next round. */
function addQuestions(server: McpServer): void {
  server.registerTool(
    "test_input_required_result_elicitation",
    { description: "Asks for a name" },
    (ctx) => {
      const name = acceptedContent(ctx.mcpReq.inputResponses, "user_name")?.["name"];
      if (typeof name === "string") return text(`Hello, ${name}!`);
      return inputRequired({ inputRequests: { user_name: askForName } });
    },
  );
  server.registerTool("test_streaming_elicitation", { description: "Asks for a name" }, (ctx) => {
    if (ctx.mcpReq.inputResponses) return text("Answered");
    return inputRequired({ inputRequests: { user_name: askForName } });
  });
  server.registerTool(
    "test_input_required_result_sampling",
    { description: "Asks the model for a capital" },
    (ctx) => {
      const answer = inputResponse(ctx.mcpReq.inputResponses, "capital_question");
      if (answer.kind === "sampling") return text(JSON.stringify(answer.result.content));
      const capital_question = sample("What is the capital of France?", 100);
      return inputRequired({ inputRequests: { capital_question } });
    },
  );
  server.registerTool(
    "test_input_required_result_list_roots",
    { description: "Asks for the roots of the client" },
    (ctx) => {
      const answer = inputResponse(ctx.mcpReq.inputResponses, "client_roots");
      if (answer.kind === "roots") return text(answer.roots.map(({ uri }) => uri).join(", "));
      return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
    },
  );
  server.registerTool(
    "test_sampling",
    { description: "Asks the model", inputSchema: requiredText("prompt") },
    ({ prompt }, ctx) => {
      const answer = inputResponse(ctx.mcpReq.inputResponses, "answer");
      if (answer.kind !== "sampling") {
        return inputRequired({ inputRequests: { answer: sample(prompt, 100) } });
      }
      const blocks = [answer.result.content].flat();
      const words = blocks.map((block) => (block.type === "text" ? block.text : block.type));
      return text(`LLM response: ${words.join("")}`);
    },
  );
}

/** One form each, in the shapes of SEP-1034 and SEP-1330. */
function addForms(server: McpServer): void {
  server.registerTool(
    "test_elicitation",
    { description: "Asks for a user name and an address", inputSchema: requiredText("message") },
    ({ message }, ctx) => askOnce(ctx, "User response", { message, requestedSchema: confirmation }),
  );
  server.registerTool(
    "test_elicitation_sep1034_defaults",
    { description: "Asks with a default for every primitive type" },
    (ctx) =>
      askOnce(ctx, "Elicitation completed", { message: "Review", requestedSchema: defaults }),
  );
  server.registerTool(
    "test_elicitation_sep1330_enums",
    { description: "Asks with every kind of enumeration" },
    (ctx) => askOnce(ctx, "Elicitation completed", { message: "Choose", requestedSchema: enums }),
  );
}

/** Questions whose next round depends on the state the client carries back. */
function addStatefulQuestions(server: McpServer, states: RequestStateCodec<string>): void {
  for (const name of ["request_state", "tampered_state"]) {
    server.registerTool(
      `test_input_required_result_${name}`,
      { description: "Asks for a confirmation and seals its state" },
      async (ctx) => {
        if (ctx.mcpReq.inputResponses && ctx.mcpReq.requestState() === name)
          return text("state-ok");
        const confirm = inputRequired.elicit({
          message: "Please confirm",
          requestedSchema: {
            type: "object",
            properties: { ok: { type: "boolean" } },
            required: ["ok"],
          },
        });
        return inputRequired({
          inputRequests: { confirm },
          requestState: await states.mint(name),
        });
      },
    );
  }

  server.registerTool(
    "test_input_required_result_multiple_inputs",
    { description: "Asks for a name, a greeting and the roots at once" },
    async (ctx) => {
      const answers = ctx.mcpReq.inputResponses ?? {};
      const client_roots = inputRequired.listRoots();
      const inputRequests = { user_name: askForName, greeting, client_roots };
      if (Object.keys(inputRequests).every((key) => key in answers)) return text("All answered");
      return inputRequired({ inputRequests, requestState: await states.mint("asked for all") });
    },
  );

  server.registerTool(
    "test_input_required_result_multi_round",
    { description: "Asks for a name, then for a colour" },
    async (ctx) => {
      const answers = ctx.mcpReq.inputResponses;
      const name = acceptedContent(answers, "step1")?.["name"];
      const colour = acceptedContent(answers, "step2")?.["color"];
      const known = ctx.mcpReq.requestState<string>();
      if (typeof colour === "string" && known) return text(`${known} likes ${colour}`);
      if (typeof name === "string") {
        const step2 = word("Step 2: What is your favorite color?", "color");
        return inputRequired({
          inputRequests: { step2 },
          requestState: await states.mint(`round 2: ${name}`),
        });
      }
      const step1 = word("Step 1: What is your name?", "name");
      return inputRequired({
        inputRequests: { step1 },
        requestState: await states.mint("round 1"),
      });
    },
  );
}

const askForName = word("What is your name?", "name");
const greeting = sample("Generate a greeting", 50);

function sample(question: string, maxTokens: number) {
  const content = { type: "text", text: question } as const;
  return inputRequired.createMessage({ messages: [{ role: "user", content }], maxTokens });
}

/** Asks with a form and, once answered, repeats the answer after `title`. */
function askOnce(
  ctx: ServerContext,
  title: string,
  form: Parameters<typeof inputRequired.elicit>[0],
) {
  const answer = inputResponse(ctx.mcpReq.inputResponses, "form");
  if (answer.kind !== "elicit") {
    return inputRequired({ inputRequests: { form: inputRequired.elicit(form) } });
  }
  return text(`${title}: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`);
}

function requiredText<Name extends string>(name: Name) {
  return fromJsonSchema<Record<Name, string>>({
    type: "object",
    properties: { [name]: { type: "string" } },
    required: [name],
  });
}
