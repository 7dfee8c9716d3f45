module.exports = {
  apps: [
    {
      name: "shop",
      script: "server.js",
      instances: 2,
      exec_mode: "cluster",
      max_memory_restart: "300M",
      kill_timeout: 10000,
    },
    {
      name: "queue",
      script: "queue.js",
      env: { NODE_ENV: "production" },
      exp_backoff_restart_delay: 100,
    },
  ],
};
