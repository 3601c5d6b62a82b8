/** A body that is sent with a word on how far it is: `fetch` does not tell. */

import { ApiError, FROM_APP, OfflineError } from "@/api/client";
import type { Problem } from "@/api/schema";

/**
 * Put bytes at an address of the API.
 *
 * Throws like the other calls, and an `AbortError` once `signal` says to stop.
 */
export function upload<Answer>(
  address: string,
  content: Blob,
  onSent: (count: number) => void,
  signal: AbortSignal,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", address);
    for (const [name, value] of Object.entries(FROM_APP)) request.setRequestHeader(name, value);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = ({ loaded }) => onSent(loaded);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) {
        resolve(JSON.parse(request.responseText) as Answer);
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
