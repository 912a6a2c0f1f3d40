// Users who ask for one paced stream after the other, and look at every byte of what they get.
//
// A stream is `whole` (the exact text, one finish_reason `stop`, one [DONE]), or it fails in one of these ways:
//   refused   an HTTP status of 400 or more, with an error of the API's shape
//   error     an error event within the stream, and no [DONE]
//   cut       the connection broke: to a client that is an error, too
//   silent    it looks whole and is not, or ends without a word; a defect wherever it appears
//   hung      no byte for longer than the edge's heartbeat allows; a defect, too
import https from "node:https";

// Between 3.5 and 6.5 s, so that users who begin together do not stay together.
const pieceMs = 250;
const piecesOf = (index) => 14 + ((index * 7) % 13);
// 16 s: longer than any lease lasts by itself.
export const longPieces = 64;
const hungMs = 40_000;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const words = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen".split(" ");

export class Load {
  /**
   * @param edges [{host, address, port}]; one that is not ready gets no new requests, as behind any balancer
   * @param authority PEM of whose certificates the edges show
   * @param models the model of each user
   * @param canary goes into every prompt and every answer
   */
  constructor({ edges, authority, key, models, canary }) {
    this.edges = edges.map((edge) => ({ ...edge, ready: false, agent: new https.Agent({ keepAlive: true }) }));
    this.authority = authority;
    this.key = key;
    this.models = models;
    this.canary = canary;
    this.open = new Set();
    this.closed = [];
    this.elsewhere = 0;  // connections refused by one edge and made to another
    this.errors = [];  // bodies of errors, for whoever looks for secrets in them
    this.long = false;  // whether every eighth user asks for long answers
    this.stopping = false;
    this.turn = 0;
  }

  start() {
    this.watches = this.edges.map((edge) => this.#watch(edge));
    this.users = this.models.map((model, index) => this.#user(model, index));
  }
  /** Lets the streams that are open end. */
  async stop() {
    this.stopping = true;
    await Promise.all([...this.users, ...this.watches]);
    for (const edge of this.edges) edge.agent.destroy();
  }

  async #watch(edge) {
    while (!this.stopping) {
      edge.ready = await new Promise((resolve) => {
        const request = https.get({ host: edge.address, port: edge.port, path: "/readyz", agent: false, ca: this.authority, timeout: 1000 }, (response) => {
          response.resume();
          resolve(response.statusCode === 200);
        });
        request.on("timeout", () => request.destroy());
        request.on("error", () => resolve(false));
      });
      await pause(200);
    }
  }

  async #user(model, index) {
    await pause(index * 25);
    for (let turn = 0; !this.stopping; ++turn) {
      const edge = this.#edge();
      if (!edge) {
        await pause(50);
        continue;
      }
      const record = { tag: `u${index}t${turn}`, model, alone: index % 2 === 1, pieces: this.long && index % 8 === 0 ? longPieces : piecesOf(index), edge: edge.host, begun: Date.now(), outcome: "open" };
      this.open.add(record);
      await this.ask(edge, record);
      record.ended = Date.now();
      this.open.delete(record);
      if (record.outcome === "elsewhere") {
        edge.ready = false;
        ++this.elsewhere;
        continue;
      }
      this.closed.push(record);
      if (record.outcome !== "whole") await pause(250);
    }
  }

  #edge() {
    const ready = this.edges.filter((edge) => edge.ready);
    return ready[this.turn++ % ready.length];
  }

  /** One stream; fills in the record's outcome. */
  ask(edge, record) {
    const text = `${this.canary} answer ${record.tag} ${words.join(" ")}`;
    const script = `text=${text.replaceAll(" ", "+")} chunks=${record.pieces} chunk_ms=${pieceMs} tag=${record.tag}`;
    const body = JSON.stringify({
      model: record.model,
      stream: true,
      reasoning_format: "hidden",
      messages: [{ role: "user", content: `${this.canary} [[sim: ${script}]]` }],
    });
    return new Promise((resolve) => {
      let got = "", finish = [], done = 0, error = "", odd = "";
      const end = (outcome, detail = "") => {
        if (record.outcome !== "open") return;
        record.outcome = outcome;
        record.detail = detail;
        if (outcome !== "whole") this.errors.push(detail);
        resolve();
      };
      const request = https.request({
        host: edge.address, port: edge.port, path: "/v1/chat/completions", method: "POST", ca: this.authority, timeout: hungMs,
        // Some keep their connections, some make one for every request.
        agent: record.alone ? false : edge.agent,
        headers: { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body), Authorization: `Bearer ${this.key}` },
      });
      request.on("timeout", () => {
        end("hung", "no byte for too long");
        request.destroy();
      });
      request.on("error", (failure) => {
        // Before there is a connection nothing has been asked, and the caller is told so.
        const unasked = failure.message.includes("before secure TLS connection was established");
        end(failure.code === "ECONNREFUSED" ? "elsewhere" : unasked ? "refused" : "cut", `${failure.code} ${failure.message}`);
      });
      request.on("response", (response) => {
        record.status = response.statusCode;
        let text_ = "", rest = "";
        response.setEncoding("utf8");
        response.on("error", (failure) => end("cut", `${failure.code} ${failure.message}`));
        response.on("aborted", () => end("cut", "aborted"));
        response.on("data", (data) => {
          if (response.statusCode !== 200) {
            text_ += data;
            return;
          }
          rest += data;
          for (let at; (at = rest.indexOf("\n\n")) >= 0; rest = rest.slice(at + 2)) take(rest.slice(0, at));
        });
        response.on("end", () => {
          if (!response.complete) return end("cut", "incomplete");
          if (response.statusCode !== 200) return end(isError(text_) ? "refused" : "silent", `${response.statusCode} ${text_}`);
          if (error && done === 0) return end("error", error);
          const good = got === text && finish.join() === "stop" && done === 1 && !error && !odd && rest === "";
          end(good ? "whole" : "silent", good ? "" : JSON.stringify({ characters: got.length, of: text.length, right: text.startsWith(got), finish, done, error, odd, rest }));
        });
      });
      const take = (event) => {
        for (const line of event.split("\n")) {
          if (line === "" || line.startsWith(":") || line.startsWith("event:")) continue;
          if (!line.startsWith("data: ") || done) {
            odd ||= line;
          } else if (line === "data: [DONE]") {
            ++done;
          } else {
            const data = JSON.parse(line.slice(6));
            if (data.error) {
              error = line;
            } else {
              const choice = data.choices?.[0];
              if (choice?.delta?.content) {
                record.content ??= Date.now();
                got += choice.delta.content;
              }
              if (choice?.finish_reason) finish.push(choice.finish_reason);
            }
          }
        }
      };
      request.end(body);
    });
  }
}

function isError(text) {
  try {
    const { error } = JSON.parse(text);
    return typeof error.message === "string" && typeof error.type === "string";
  } catch {
    return false;
  }
}
