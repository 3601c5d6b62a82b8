/** A body that is sent with a word on how far it is: `fetch` does not tell. */

import { ApiError, FROM_APP, OfflineError, post, send } from "@/api/client";
import type { Problem, UploadResponse } from "@/api/schema";
import { IN_CLOUD } from "@/api/side";

const OCTETS = { "Content-Type": "application/octet-stream" };
/** What is larger goes past the functions of the cloud, which take 6 MB. */
const MOST_DIRECT = 4 << 20;

/**
 * Put bytes at an address of the API.
 *
 * Throws like the other calls, and an `AbortError` once `signal` says to stop.
 */
export async function upload<Answer>(
  address: string,
  content: Blob,
  onSent: (count: number) => void,
  signal: AbortSignal,
): Promise<Answer> {
  if (!IN_CLOUD || content.size <= MOST_DIRECT) {
    const text = await put(address, { ...FROM_APP, ...OCTETS }, content, onSent, signal);
    return JSON.parse(text) as Answer;
  }
  const { url, key } = await post<UploadResponse>("/uploads");
  await put(url, OCTETS, content, onSent, signal);
  const headers = { ...FROM_APP, ...OCTETS, "Conducto-Body": key };
  return (await (await send(address, { method: "PUT", headers, signal })).json()) as Answer;
}

function put(
  address: string,
  headers: Readonly<Record<string, string>>,
  content: Blob,
  onSent: (count: number) => void,
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", address);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded }) => onSent(loaded);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) {
        resolve(request.responseText);
      } else {
        reject(new ApiError(problemIn(request)));
      }
    };
    request.onerror = () => reject(new OfflineError());
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(content);
  });
}

function problemIn({ status, statusText, responseText }: XMLHttpRequest): Problem {
  try {
    return JSON.parse(responseText) as Problem;
  } catch {
    return {
      type: "about:blank",
      title: "unexpected answer",
      status,
      detail: `the server answered ${status} ${statusText}`,
      path: null,
      remedy: null,
    };
  }
}
