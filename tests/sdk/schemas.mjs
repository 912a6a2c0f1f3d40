// JSON schemas of what goes over the wire, made of the types that the `openai` package ships, and strict: what a type does not
// name is not allowed, except for the relay's own additions below.
import path from "node:path";
import Ajv from "ajv";
import { createGenerator } from "ts-json-schema-generator";

// All that the relay says beyond OpenAI's types. docs/api.md names the same.
export const extensions = {
  ChatCompletion: { conversation_id: { type: "string" }, notices: { $ref: "#/definitions/Notices" } },
  ChatCompletionChunk: { conversation_id: { type: "string" }, notices: { $ref: "#/definitions/Notices" } },
  ChatCompletionMessage: { reasoning_content: { type: "string" } },
  "ChatCompletionChunk.Choice.Delta": {
    reasoning_content: { type: "string" },
    annotations: { type: "array", items: { $ref: "#/definitions/Annotation" } },
  },
  CompletionUsage: { estimated: { const: true } },
  ResponseUsage: { estimated: { const: true } },
  Completion: { conversation_id: { type: "string" }, notices: { $ref: "#/definitions/Notices" } },
  CompletionChoice: {
    reasoning_content: { type: "string" },
    refusal: { type: ["string", "null"] },
    annotations: { type: "array", items: { $ref: "#/definitions/Annotation" } },
  },
  // Without it the SDK raises an error that says nothing.
  ResponseErrorEvent: { error: { $ref: "#/definitions/Fault" } },
  Response: { conversation_id: { type: "string" }, notices: { $ref: "#/definitions/Notices" } },
};

const definitions = {
  Notices: {
    type: "array",
    minItems: 1,
    items: {
      type: "object",
      properties: { code: { type: "string" }, message: { type: "string" } },
      required: ["code", "message"],
      additionalProperties: false,
    },
  },
  Fault: {
    type: "object",
    properties: { message: { type: "string" }, type: { type: "string" }, param: { type: ["string", "null"] }, code: { type: "string" } },
    required: ["message", "type", "param", "code"],
    additionalProperties: false,
  },
  Annotation: {
    type: "object",
    properties: {
      type: { const: "url_citation" },
      url_citation: {
        type: "object",
        properties: { start_index: { type: "integer" }, end_index: { type: "integer" }, url: { type: "string" }, title: { type: "string" } },
        required: ["start_index", "end_index", "url", "title"],
        additionalProperties: false,
      },
    },
    required: ["type", "url_citation"],
    additionalProperties: false,
  },
};

const generator = createGenerator({
  path: path.join(import.meta.dirname, "types/wire.ts"),
  tsconfig: path.join(import.meta.dirname, "tsconfig.json"),
  type: "*",
  additionalProperties: false,
  skipTypeCheck: true,
  jsDoc: "none",
});
const ajv = new Ajv({ allErrors: true, strict: false, logger: false });
const validators = new Map();

// Where the types differ from what OpenAI itself sends.
const corrections = {
  // Made by the SDK, of the items.
  Response: (schema) => (schema.required = schema.required.filter((name) => name !== "output_text")),
  // Null until the last chunk; the type is the whole answer's.
  CompletionChoice: ({ properties }) => (properties.finish_reason = { enum: [...properties.finish_reason.enum, null] }),
  Completion: ({ properties }) => (properties.usage = { anyOf: [properties.usage, { type: "null" }] }),
};

/** The schema of an exported type of types/wire.ts, with the relay's additions. */
export function schemaOf(name) {
  const schema = structuredClone(generator.createSchema(name));
  for (const [type, members] of Object.entries(extensions)) {
    if (schema.definitions[type]?.properties) Object.assign(schema.definitions[type].properties, members);
  }
  for (const [type, correct] of Object.entries(corrections)) if (schema.definitions[type]) correct(schema.definitions[type]);
  Object.assign(schema.definitions, definitions);
  return schema;
}

/** Throws if `value` is not of the type, naming every place where it is not. */
export function check(name, value) {
  if (!validators.has(name)) validators.set(name, ajv.compile(schemaOf(name)));
  const valid = validators.get(name);
  if (valid(value)) return;
  const faults = valid.errors.map((error) => `  ${error.instancePath || "/"} ${error.message} ${JSON.stringify(error.params)}`);
  throw new Error(`not a ${name}:\n${faults.slice(0, 20).join("\n")}\n${JSON.stringify(value)}`);
}

export const checkChat = (value) => check("WireChatCompletion", value);
export const checkChunk = (value) => check("WireChatCompletionChunk", value);
export const checkError = (value) => check("WireErrorObject", value);
