/** Uploads with progress, which `fetch` does not report. */

import { ApiError, FROM_APP, OfflineError, post, send, unexpectedProblem } from "@/api/client";
import { IN_CLOUD } from "@/api/deployment";
import type { Problem, UploadResponse } from "@/api/schema";

const BINARY = { "Content-Type": "application/octet-stream" };
/** Larger bodies are uploaded to S3, because Lambda accepts only 6 MB. */
const MAX_DIRECT = 4 << 20;

/**
 * Upload content to an API URL. Throws the same errors as other calls, and `AbortError` if `signal`
 * aborts.
 */
export async function upload<Answer>(
  address: string,
  content: Blob,
  onSent: (count: number) => void,
  signal: AbortSignal,
): Promise<Answer> {
  if (!IN_CLOUD || content.size <= MAX_DIRECT) {
    const text = await put(address, { ...FROM_APP, ...BINARY }, content, onSent, signal);
    return JSON.parse(text) as Answer;
  }
  const { url, key } = await post<UploadResponse>("/uploads");
  await put(url, BINARY, content, onSent, signal);
  const headers = { ...FROM_APP, ...BINARY, "Conducto-Body": key };
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
    return unexpectedProblem(status, statusText);
  }
}
