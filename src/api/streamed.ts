/** A call of the control socket whose answer is a stream of lines, on node:http. */
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { ANSWER_WAIT_MS, type Call, noAnswer } from './exchange.ts';

/** Resolves when the answer begins, within 30 s. Its reader may be slow, and nobody else waits for the connection. */
export function begin({ socket, method, target, headers, body, signal }: Call): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const length = body === null ? {} : { 'content-length': Buffer.byteLength(body) };
    const call: ClientRequest = request(
      {
        socketPath: socket,
        method,
        path: target,
        agent: false,
        headers: { ...headers, ...length },
        ...(signal === undefined ? {} : { signal }),
      },
      (response) => {
        // What goes on may be silent for as long as it likes.
        response.socket.setTimeout(0);
        resolve(response);
      },
    );
    call.setTimeout(ANSWER_WAIT_MS, () => call.destroy(noAnswer()));
    call.on('error', reject);
    call.end(body ?? undefined);
  });
}

export async function textOf(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8');
  let text = '';
  for await (const part of response) text += part;
  return text;
}

export async function* linesOf(response: IncomingMessage): AsyncGenerator {
  response.setEncoding('utf8');
  let rest = '';
  for await (const part of response) {
    const lines = (rest + part).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') yield JSON.parse(line);
  }
}
