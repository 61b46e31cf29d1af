# How it runs: size of a task, number of tasks, deployments, logs, alarms.

variable "cluster_arn" {
  description = "An existing ECS cluster with the capacity providers of `capacity_providers`; null: one is made."
  type        = string
  default     = null

  validation {
    condition     = var.cluster_arn == null || can(regex("^arn:aws[a-z-]*:ecs:[^:]+:[0-9]{12}:cluster/.+$", var.cluster_arn))
    error_message = "`cluster_arn` is no ARN of an ECS cluster (arn:aws:ecs:REGION:ACCOUNT:cluster/NAME): copy it, or set null for a new one."
  }
}

variable "cpu" {
  description = "CPU units of a task (1024 are one vCPU). The gateway is one process and uses one core and a little."
  type        = number
  default     = 1024

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096], var.cpu)
    error_message = "`cpu` must be 256, 512, 1024, 2048 or 4096: one process gains nothing from more. Set one of these, and scale by tasks."
  }
}

variable "memory_mib" {
  description = "Memory of a task."
  type        = number
  default     = 2048

  validation {
    condition = contains(lookup({
      "256"  = [512, 1024, 2048]
      "512"  = range(1024, 4097, 1024)
      "1024" = range(2048, 8193, 1024)
      "2048" = range(4096, 16385, 1024)
      "4096" = range(8192, 30721, 1024)
    }, tostring(var.cpu), []), var.memory_mib)
    error_message = "Fargate has no task of this `cpu` and `memory_mib`: with 256 CPU units 512, 1024 or 2048; with 512 1024 to 4096; with 1024 2048 to 8192; with 2048 4096 to 16384; with 4096 8192 to 30720, in steps of 1024. Set a pair of these."
  }
}

variable "cpu_architecture" {
  description = "X86_64 or ARM64: what the image was built for."
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.cpu_architecture)
    error_message = "`cpu_architecture` must be X86_64 or ARM64: set what the image was built for."
  }
}

variable "nofile" {
  description = "Open files of the container, hard and soft limit: one for each connection and 128 for the gateway."
  type        = number
  default     = 65536

  validation {
    condition     = var.nofile >= 1024 && var.nofile <= 1048576
    error_message = "`nofile` must be 1024 to 1048576. Set it to the sum of `max_connections` of all listeners, and 128."
  }
  validation {
    condition = var.nofile >= 128 + sum(concat([0],
      [for one in values(var.tcp_listeners) : coalesce(one.max_connections, 1)],
      [for one in values(var.mqtt_listeners) : coalesce(one.max_connections, 1)],
      var.rest == null ? [] : [coalesce(var.rest.max_connections, 1)],
    ))
    error_message = "`nofile` is below the sum of `max_connections` of all listeners and 128: the gateway would refuse to start. Raise it, or lower `max_connections`."
  }
}

variable "capacity_providers" {
  description = "What tasks run on: FARGATE, FARGATE_SPOT, with weight and base. Spot tasks may end at any time with two minutes' notice: not for the whole of a service whose devices hold connections."
  type = map(object({
    weight = optional(number, 1)
    base   = optional(number, 0)
  }))
  default  = { FARGATE = {} }
  nullable = false

  validation {
    condition     = length(var.capacity_providers) > 0 && length(setsubtract(keys(var.capacity_providers), ["FARGATE", "FARGATE_SPOT"])) == 0
    error_message = "`capacity_providers` must have FARGATE, FARGATE_SPOT or both as keys. Set one of these."
  }
  validation {
    condition     = length([for one in values(var.capacity_providers) : one if one.base > 0]) <= 1 && anytrue([for one in values(var.capacity_providers) : one.weight > 0])
    error_message = "In `capacity_providers` one entry at most may have a `base`, and one at least a `weight` above 0. Change them so."
  }
}

variable "autoscaling" {
  description = <<-EOT
    Number of tasks. `cpu_percent`: target of the average CPU. `sessions_per_task`: target of the sessions that a task holds,
    from the gateway's own figures (needs `emf_namespace`); null: by CPU alone. Going down cuts connections: it waits long.
  EOT
  type = object({
    min_tasks            = optional(number, 2)
    max_tasks            = optional(number, 6)
    cpu_percent          = optional(number, 55)
    sessions_per_task    = optional(number)
    scale_out_cooldown_s = optional(number, 60)
    scale_in_cooldown_s  = optional(number, 900)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.autoscaling.min_tasks >= 1 && var.autoscaling.max_tasks >= var.autoscaling.min_tasks
    error_message = "`autoscaling.min_tasks` must be at least 1 and not above `max_tasks`. Change one of them; equal numbers fix the number of tasks."
  }
  validation {
    condition     = var.environment != "prd" || var.autoscaling.min_tasks >= 2
    error_message = "`autoscaling.min_tasks` must be at least 2 in prd: one task in one zone is gone with that zone. Raise it."
  }
  validation {
    condition     = var.autoscaling.cpu_percent >= 10 && var.autoscaling.cpu_percent <= 90
    error_message = "`autoscaling.cpu_percent` must be 10 to 90. Set it within that; 50 to 60 leaves room for a reconnect storm."
  }
  validation {
    condition     = var.autoscaling.sessions_per_task == null || var.emf_namespace != null
    error_message = "`autoscaling.sessions_per_task` needs the gateway's own figures: set `emf_namespace`, or remove it."
  }
  validation {
    condition     = var.autoscaling.sessions_per_task == null || try(var.autoscaling.sessions_per_task >= 1 && var.autoscaling.sessions_per_task < var.nofile - 128, false)
    error_message = "`autoscaling.sessions_per_task` must be at least 1 and below `nofile` less 128: a task could never hold so many. Lower it, or raise `nofile`."
  }
  validation {
    condition     = var.autoscaling.sessions_per_task == null || length(var.tcp_listeners) + length(var.mqtt_listeners) > 0
    error_message = "`autoscaling.sessions_per_task` counts TCP and MQTT sessions, and there are no such listeners. Remove it, or add a listener."
  }
}

variable "emf_namespace" {
  description = "CloudWatch namespace of the figures that the gateway writes into its log (embedded metric format), such as IotLink. null: none, and no alarms on them."
  type        = string
  default     = null

  validation {
    condition     = var.emf_namespace == null || can(regex("^[A-Za-z0-9._/#-]{1,255}$", var.emf_namespace)) && !startswith(coalesce(var.emf_namespace, "-"), "AWS/")
    error_message = "`emf_namespace` must be 1 to 255 letters, digits and . _ / # -, and not begin with AWS/. Write IotLink, for example."
  }
}

variable "deployment" {
  description = <<-EOT
    How a new version takes over. `strategy`: ROLLING (tasks are replaced in turn) or BLUE_GREEN (the new ones stand beside
    the old ones, take the traffic at once, and the old ones stay for `bake_minutes`). `rollback`: back to the last version
    when tasks do not start (ROLLING) or one of this module's critical alarms rings. `wait`: apply ends when the service is steady.
  EOT
  type = object({
    strategy                     = optional(string, "ROLLING")
    minimum_healthy_percent      = optional(number, 100)
    maximum_percent              = optional(number, 200)
    bake_minutes                 = optional(number, 10)
    rollback                     = optional(bool, true)
    wait                         = optional(bool, false)
    health_check_grace_seconds   = optional(number, 120)
    deregistration_delay_seconds = optional(number, 30)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["ROLLING", "BLUE_GREEN"], var.deployment.strategy)
    error_message = "`deployment.strategy` must be ROLLING or BLUE_GREEN: set one of the two."
  }
  validation {
    condition     = var.deployment.strategy != "BLUE_GREEN" || var.nlb != null || var.rest != null
    error_message = "`deployment.strategy = \"BLUE_GREEN\"` moves the traffic of load balancers, and there is none: set ROLLING, or add a listener."
  }
  validation {
    condition     = var.deployment.minimum_healthy_percent >= 0 && var.deployment.minimum_healthy_percent <= 100 && var.deployment.maximum_percent > 100 && var.deployment.maximum_percent <= 200
    error_message = "`deployment.minimum_healthy_percent` must be 0 to 100 and `maximum_percent` 101 to 200: new tasks start before old ones end. Set them within that."
  }
  validation {
    condition     = var.deployment.bake_minutes >= 0 && var.deployment.bake_minutes <= 1440
    error_message = "`deployment.bake_minutes` must be 0 to 1440. Set it within that."
  }
  validation {
    condition     = var.deployment.deregistration_delay_seconds >= 0 && var.deployment.deregistration_delay_seconds <= 3600
    error_message = "`deployment.deregistration_delay_seconds` must be 0 to 3600. Connections are ended by the gateway after it, so keep it short."
  }
}

variable "deletion_protection" {
  description = "Whether the load balancers refuse to be deleted."
  type        = bool
  default     = true
}

variable "logs" {
  description = "The log group: days that lines are kept, and a KMS key of your own (its policy must let CloudWatch Logs use it)."
  type = object({
    retention_days = optional(number, 30)
    kms_key_arn    = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.logs.retention_days)
    error_message = "`logs.retention_days` must be one that CloudWatch Logs knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731 and more. Set the next one."
  }
}

variable "alarms" {
  description = <<-EOT
    CloudWatch alarms. `topic_arns`: SNS topics that hear of them. `delivery_lag_seconds`: oldest record that no sink has yet;
    `spool_percent`: how full the spool is; `dead_letters`: how many in five minutes. These three need `emf_namespace`.
  EOT
  type = object({
    enabled              = optional(bool, true)
    topic_arns           = optional(list(string), [])
    cpu_percent          = optional(number, 85)
    memory_percent       = optional(number, 85)
    delivery_lag_seconds = optional(number, 300)
    spool_percent        = optional(number, 80)
    dead_letters         = optional(number, 100)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for arn in var.alarms.topic_arns : can(regex("^arn:aws[a-z-]*:sns:[^:]+:[0-9]{12}:[^:]+$", arn))])
    error_message = "A value in `alarms.topic_arns` is no ARN of an SNS topic (arn:aws:sns:REGION:ACCOUNT:NAME). Give the topic's ARN."
  }
  validation {
    condition     = alltrue([for percent in [var.alarms.cpu_percent, var.alarms.memory_percent, var.alarms.spool_percent] : percent > 0 && percent <= 100])
    error_message = "`cpu_percent`, `memory_percent` and `spool_percent` of `alarms` must be above 0 and at most 100. Set them within that."
  }
}
