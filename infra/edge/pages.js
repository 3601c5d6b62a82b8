// CloudFront, before it looks for a file: a path is the app's own, but below "/assets/" and at the
// top where it names a file. As the local server has it (`conducto_local.server.static_files`).
function handler(event) {
  var request = event.request;
  var path = request.uri.slice(1);
  var file = path.startsWith("assets/") || (path.includes(".") && !path.includes("/"));
  if (!file) request.uri = "/index.html";
  return request;
}
