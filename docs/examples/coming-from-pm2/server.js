const http = require("node:http");

const server = http.createServer((request, response) => {
  response.end(`hello from worker ${process.env.ARBITER_SLOT}\n`);
});

// Instead of a port: the descriptor of arbiter's socket.
server.listen({ fd: Number(process.argv[2]) });

// Take no further connection, answer what is under way, end.
process.on("SIGTERM", () => {
  server.close();
  setInterval(() => server.closeIdleConnections(), 20).unref();
});
