"""The API's server side, without a server: routes as data, handlers, and the port they call."""
