# nomad job run app.nomad.hcl
job "app" {
  type = "service"

  group "app" {
    count = 3

    network {
      port "http" {
        to = 3000
      }
      port "health" {
        to = 9000
      }
    }

    # A new allocation is healthy before an old one is told to stop.
    update {
      max_parallel     = 1
      canary           = 1
      auto_promote     = true
      auto_revert      = true
      health_check     = "checks"
      min_healthy_time = "10s"
    }

    service {
      name     = "app"
      port     = "http"
      provider = "nomad"

      # It is asked on the port of --health, not on the service's own.
      check {
        type     = "http"
        path     = "/ready"
        port     = "health"
        interval = "5s"
        timeout  = "1s"
      }
    }

    task "app" {
      driver = "docker"

      config {
        image   = "registry.example.org/app:1.0.0"
        command = "node"
        args = [
          "node_modules/rcluster/bin/rcluster.js",
          "--instances=max",
          "--health=9000",
          "--stop-delay=2s",
          "--drain-timeout=20s",
          "--keep-alive-timeout=75s",
          "server.js",
        ]
        ports = ["http", "health"]
      }

      # It is taken out of the service, and told to stop so long afterwards. --stop-delay is for connections that are kept: their
      # next answers tell clients to connect anew.
      shutdown_delay = "5s"

      kill_signal = "SIGTERM"

      # More than --stop-delay and --drain-timeout together. Clients of Nomad allow no more, unless max_kill_timeout is set.
      kill_timeout = "30s"

      resources {
        cores  = 2
        memory = 512
      }
    }
  }
}
