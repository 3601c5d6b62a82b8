// Viewer-request function: serves the web app's page for its paths, except for files below
// "/assets/" and files at the top level, like `conducto_local.server.static_files`.
function handler(event) {
  var request = event.request;
  var path = request.uri.slice(1);
  var file = path.startsWith("assets/") || (path.includes(".") && !path.includes("/"));
  if (!file) request.uri = "/index.html";
  return request;
}
