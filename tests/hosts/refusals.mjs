// gRPC calls by hand, over HTTP/2 with whatever certificate is shown, or none: what is a caller told on each port?
import { readFileSync } from "node:fs";
import http2 from "node:http2";

export const permissionDenied = 7;
const empty = Buffer.alloc(5);  // one message without fields

const chat = "/switchyard.chat.v1.ChatService/";
const session = "/switchyard.session.v1.SessionService/";
const providers = ["switchyard-deepseek", "switchyard-zhipu"];

/** The methods of each service, and who may call them; the table "Who calls whom" of docs/mesh.md, said once more. */
export const allowed = {
  deepseek: { [`${chat}Chat`]: ["switchyard-edge"], [`${chat}ListModels`]: ["switchyard-edge"] },
  zhipu: { [`${chat}Chat`]: ["switchyard-edge"], [`${chat}ListModels`]: ["switchyard-edge"] },
  signing: { "/switchyard.signing.v1.SigningService/Sign": ["switchyard-session", ...providers] },
  session: {
    [`${session}Lease`]: providers,
    [`${session}ListAccounts`]: ["switchyard-edge", "switchyard-accounts", ...providers],
    [`${session}CheckAccount`]: ["switchyard-edge", "switchyard-accounts"],
  },
  etcd: { "/etcdserverpb.KV/Range": [] },
};

/**
 * @param credentials files {certificate, key} to show, and {authority} to expect; null: no TLS at all
 * @return the call's gRPC status, or "refused" if no answer ever came
 */
export function call(address, port, method, credentials) {
  const scheme = credentials ? "https" : "http";
  const tls = credentials ? {
    ca: readFileSync(credentials.authority),
    ...(credentials.certificate && { cert: readFileSync(credentials.certificate), key: readFileSync(credentials.key) }),
    // The server's name is not what is in question here.
    checkServerIdentity: () => undefined,
  } : {};
  return new Promise((resolve) => {
    const connection = http2.connect(`${scheme}://${address}:${port}`, tls);
    const end = (answer) => {
      clearTimeout(late);
      connection.destroy();
      resolve(answer);
    };
    const late = setTimeout(() => end("no answer"), 5000);
    connection.on("error", () => end("refused"));
    connection.on("close", () => end("refused"));
    const stream = connection.request({ ":method": "POST", ":path": method, "content-type": "application/grpc", te: "trailers" });
    let status;
    const look = (headers) => {
      if (headers["grpc-status"] !== undefined) status = Number(headers["grpc-status"]);
    };
    stream.on("response", look);
    stream.on("trailers", look);
    stream.on("error", () => end("refused"));
    stream.on("end", () => end(status ?? "refused"));
    stream.resume();
    stream.end(empty);
  });
}

/**
 * Every caller at every port of every program, and what came of it.
 * @param strangers {name: credentials} of those who are nobody: they get no answer at all
 * @param known {identity: credentials} by the mesh's own authority
 * @return lists of {what, good, got}
 */
export async function table(programs, strangers, known) {
  const results = [];
  for (const program of programs) {
    const methods = allowed[program.service];
    for (const [name, credentials] of Object.entries(strangers)) {
      for (const method of Object.keys(methods)) {
        const got = await call(program.address, program.port, method, credentials);
        results.push({ what: `${program.name}: ${name} calls ${method}`, good: got === "refused", got });
      }
    }
    for (const [identity, credentials] of Object.entries(known)) {
      for (const [method, callers] of Object.entries(methods)) {
        const got = await call(program.address, program.port, method, credentials);
        const good = callers.includes(identity) ? typeof got === "number" && got !== permissionDenied : got === permissionDenied;
        results.push({ what: `${program.name}: ${identity} calls ${method}`, good, got });
      }
    }
  }
  return results;
}
