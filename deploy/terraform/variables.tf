# What the deployment is called and what runs in it. Network, storage and operation: the other variables_*.tf.

variable "name" {
  description = "First part of every name; the environment is the second."
  type        = string
  default     = "iotlink"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,13}[a-z0-9]$", var.name))
    error_message = "`name` must be 2 to 15 of a-z, 0-9 and -, begin with a letter and not end with -: load balancers take 32 characters in all. Choose a shorter name."
  }
}

variable "environment" {
  description = "dev, stg or prd: the second part of every name, and `env` in every record."
  type        = string

  validation {
    condition     = contains(["dev", "stg", "prd"], var.environment)
    error_message = "`environment` must be dev, stg or prd: set one of these three, and tell further deployments apart by `name`."
  }
}

variable "tags" {
  description = "Tags of every resource, beside Application, Environment and Service."
  type        = map(string)
  default     = {}
}

variable "image" {
  description = "Image of the gateway with a full version tag or a digest."
  type        = string

  validation {
    condition     = can(regex("(:[^:/@]+|@sha256:[0-9a-f]{64})$", var.image)) && !endswith(var.image, ":latest")
    error_message = "`image` must end with a version tag other than latest, or with a digest (@sha256:...): a task that starts again must run what was deployed. Add the tag that you pushed."
  }
}

variable "ecr_repository_arn" {
  description = "ARN of the image's ECR repository, which the execution role may then pull from. null: the image needs no AWS permission."
  type        = string
  default     = null

  validation {
    condition     = var.ecr_repository_arn == null || can(regex("^arn:aws[a-z-]*:ecr:[^:]+:[0-9]{12}:repository/.+$", var.ecr_repository_arn))
    error_message = "`ecr_repository_arn` is no ARN of an ECR repository (arn:aws:ecr:REGION:ACCOUNT:repository/NAME): copy it from the repository's page, or set null for an image from elsewhere."
  }
}

variable "tcp_listeners" {
  description = <<-EOT
    Ports for devices that hold a TCP connection, by name. `port`: of the container; `nlb_port`: of the load balancer, the
    same unless given. `tls`: the load balancer ends TLS with `nlb.certificate_arn`. The other keys are those of the
    gateway's `tcp.listeners`. `nlb_idle_timeout_s` (without `tls` only; with it AWS fixes 350) must be above
    `idle_timeout_s`, so that the gateway, not the load balancer, ends silent connections.
  EOT
  type = map(object({
    port                   = optional(number, 5023)
    nlb_port               = optional(number)
    tls                    = optional(bool, false)
    nlb_idle_timeout_s     = optional(number, 350)
    products               = optional(list(string), [])
    idle_timeout_s         = optional(number, 300)
    login_timeout_s        = optional(number, 30)
    max_connections        = optional(number)
    max_connections_per_ip = optional(number, 0)
    tenant                 = optional(string)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for key in keys(var.tcp_listeners) : can(regex("^[a-z][a-z0-9]{0,7}$", key))])
    error_message = "A name in `tcp_listeners` is not 1 to 8 of a-z and 0-9 beginning with a letter: it becomes part of the name of a target group. Rename it."
  }
  validation {
    condition     = alltrue([for one in values(var.tcp_listeners) : alltrue([for port in [one.port, coalesce(one.nlb_port, one.port)] : port >= 1024 && port <= 65535 || port == one.nlb_port && port >= 1 && port < 1024])])
    error_message = "A port in `tcp_listeners` cannot be used: `port` must be 1024 to 65535 (the gateway is not root) and `nlb_port` 1 to 65535. Set another one."
  }
  validation {
    condition     = alltrue([for one in values(var.tcp_listeners) : one.nlb_idle_timeout_s >= 60 && one.nlb_idle_timeout_s <= 6000])
    error_message = "`nlb_idle_timeout_s` in `tcp_listeners` must be 60 to 6000, the range of an NLB. Set it within that, above `idle_timeout_s`."
  }
  validation {
    condition     = alltrue([for one in values(var.tcp_listeners) : !one.tls || one.nlb_idle_timeout_s == 350])
    error_message = "A TLS listener of an NLB has a fixed idle time-out of 350 s: remove `nlb_idle_timeout_s` from the listeners with `tls = true` in `tcp_listeners`."
  }
  validation {
    condition     = alltrue([for one in values(var.tcp_listeners) : one.idle_timeout_s > 0 && one.idle_timeout_s < one.nlb_idle_timeout_s])
    error_message = "`idle_timeout_s` in `tcp_listeners` must be above 0 and below `nlb_idle_timeout_s`, or the load balancer resets connections that the gateway holds for alive. Lower it, or raise `nlb_idle_timeout_s`."
  }
}

variable "mqtt_listeners" {
  description = "Ports for MQTT clients, by name; keys as in `tcp_listeners`. Keep alive of the clients must be below `nlb_idle_timeout_s`."
  type = map(object({
    port                   = optional(number, 1883)
    nlb_port               = optional(number)
    tls                    = optional(bool, false)
    nlb_idle_timeout_s     = optional(number, 350)
    max_connections        = optional(number)
    max_connections_per_ip = optional(number, 0)
    tenant                 = optional(string)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for key in keys(var.mqtt_listeners) : can(regex("^[a-z][a-z0-9]{0,7}$", key))])
    error_message = "A name in `mqtt_listeners` is not 1 to 8 of a-z and 0-9 beginning with a letter: it becomes part of the name of a target group. Rename it."
  }
  validation {
    condition     = length(setintersection(keys(var.mqtt_listeners), keys(var.tcp_listeners))) == 0
    error_message = "A name stands in `mqtt_listeners` and in `tcp_listeners`: listeners share one space of names. Rename one of the two."
  }
  validation {
    condition = length(distinct(concat(
      [for one in values(var.mqtt_listeners) : one.port], [for one in values(var.tcp_listeners) : one.port], var.rest == null ? [] : [var.rest.port], [9464, 9465]
    ))) == length(var.mqtt_listeners) + length(var.tcp_listeners) + (var.rest == null ? 0 : 1) + 2
    error_message = "Two listeners of `tcp_listeners`, `mqtt_listeners` and `rest` have the same `port`, or one has 9464 or 9465 (metrics, operations). Give each its own."
  }
  validation {
    condition = length(distinct(concat(
      [for one in values(var.mqtt_listeners) : coalesce(one.nlb_port, one.port)], [for one in values(var.tcp_listeners) : coalesce(one.nlb_port, one.port)]
    ))) == length(var.mqtt_listeners) + length(var.tcp_listeners)
    error_message = "Two listeners of `tcp_listeners` and `mqtt_listeners` have the same port on the load balancer. Give one another `nlb_port`."
  }
  validation {
    condition     = alltrue([for one in values(var.mqtt_listeners) : alltrue([for port in [one.port, coalesce(one.nlb_port, one.port)] : port >= 1024 && port <= 65535 || port == one.nlb_port && port >= 1 && port < 1024])])
    error_message = "A port in `mqtt_listeners` cannot be used: `port` must be 1024 to 65535 (the gateway is not root) and `nlb_port` 1 to 65535. Set another one."
  }
  validation {
    condition     = alltrue([for one in values(var.mqtt_listeners) : one.nlb_idle_timeout_s >= 60 && one.nlb_idle_timeout_s <= 6000 && (!one.tls || one.nlb_idle_timeout_s == 350)])
    error_message = "`nlb_idle_timeout_s` in `mqtt_listeners` must be 60 to 6000, and with `tls = true` it cannot be set (AWS fixes 350). Set it within that, or remove it."
  }
}

variable "rest" {
  description = <<-EOT
    The REST API behind an ALB; null: none. `certificate_arn` (ACM) is needed: the ALB speaks HTTPS only. `cidr_blocks`:
    who may connect. `access_logs_bucket`: an S3 bucket whose policy lets the ALB write; `web_acl_arn`: a WAF of region
    scope.
  EOT
  type = object({
    certificate_arn    = string
    cidr_blocks        = list(string)
    internal           = optional(bool, true)
    port               = optional(number, 8080)
    max_connections    = optional(number)
    idle_timeout_s     = optional(number, 60)
    ssl_policy         = optional(string, "ELBSecurityPolicy-TLS13-1-2-2021-06")
    access_logs_bucket = optional(string)
    web_acl_arn        = optional(string)
  })
  default = null

  validation {
    condition     = var.rest == null || can(regex("^arn:aws[a-z-]*:acm:[^:]+:[0-9]{12}:certificate/.+$", var.rest.certificate_arn))
    error_message = "`rest.certificate_arn` is no ARN of an ACM certificate: request or import one in the same region and give its ARN."
  }
  validation {
    condition     = var.rest == null || try(length(var.rest.cidr_blocks) > 0 && alltrue([for block in var.rest.cidr_blocks : can(cidrhost(block, 0))]), false)
    error_message = "`rest.cidr_blocks` must list at least one block such as 10.0.0.0/8: nobody could connect otherwise. Name who may call."
  }
  validation {
    condition     = var.rest == null || try(var.rest.port >= 1024 && var.rest.port <= 65535, false)
    error_message = "`rest.port` must be 1024 to 65535: the gateway is not root. Set another one; the ALB listens on 443 in any case."
  }
  validation {
    condition     = var.rest == null || try(var.rest.idle_timeout_s >= 1 && var.rest.idle_timeout_s < 75, false)
    error_message = "`rest.idle_timeout_s` must be 1 to 74: the gateway closes idle connections after 75 s, and the ALB must do so first. Lower it."
  }
}

variable "settings" {
  description = <<-EOT
    Further configuration of the gateway, by its sections (`iotlink config schema`), laid over what this module sets.
    `auth` is needed: it says who may send. Secrets as references to `secrets`: "$${env:NAME}" (`$$` is Terraform's escape).
  EOT
  type        = any

  validation {
    condition     = try(length(keys(var.settings.auth)) > 0, false)
    error_message = "`settings.auth` must say who may send: settings = { auth = { devices = \"credentials\", ... } }. Add it; README.md, chapter configuration, has more."
  }
  validation {
    condition     = var.rest == null || anytrue([for key in ["clients", "jwt", "key_file", "anonymous_rest"] : try(var.settings.auth[key] != null, false)])
    error_message = "With `rest`, `settings.auth` must say who may call: add `clients`, `jwt` or `key_file` (or anonymous_rest = true)."
  }
  validation {
    condition     = length(setintersection(try(keys(var.settings), []), ["sinks", "routes", "raw_archive", "ack_on", "observe", "admin"])) == 0
    error_message = "`settings` holds a section that this module sets: sinks, routes and raw_archive follow from `streams`, ack_on from `ack_on` and `spool`, observe and admin are fixed. Remove it there."
  }
  validation {
    condition = length(setsubtract(try(keys(var.settings), []), [
      "gateway", "tcp", "mqtt", "rest", "sources", "auth", "provisioning", "spool", "dead_letters", "shared_state", "log", "drain",
      "sinks", "routes", "raw_archive", "ack_on", "observe", "admin"
    ])) == 0
    error_message = "`settings` has a section that the gateway does not know, with which it would refuse to start (sections: `iotlink config schema`). Rename or remove it."
  }
  validation {
    condition     = length(setsubtract(try(flatten(regexall("\\$\\{env:(\\w+)\\}", jsonencode(var.settings))), []), keys(var.secrets))) == 0
    error_message = "`settings` refers to a variable by $${env:NAME} that `secrets` does not have, without which the gateway would refuse to start. Add it to `secrets`."
  }
  validation {
    condition     = !can(var.settings.tcp.listeners) && !can(var.settings.mqtt.listeners) && !can(var.settings.rest.listeners)
    error_message = "`settings` holds `listeners`: describe them in `tcp_listeners`, `mqtt_listeners` and `rest`, so that the load balancers fit. Move them there."
  }
  validation {
    condition     = !can(var.settings.spool.dir) && !can(var.settings.spool.max_bytes) && !can(var.settings.gateway.data_dir) && !can(var.settings.gateway.env)
    error_message = "`settings` holds `spool.dir`, `spool.max_bytes`, `gateway.data_dir` or `gateway.env`: they follow from `spool`, the volumes and `environment`. Remove it there."
  }
}

variable "secrets" {
  description = "Secrets Manager secrets and SSM parameters as environment variables of the gateway: name to ARN. An ARN of a secret may end with a JSON key (`...:secret:NAME-AbCdEf:KEY::`)."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.secrets) : can(regex("^[A-Z][A-Z0-9_]*$", name))])
    error_message = "A name in `secrets` is no name of an environment variable (A-Z, 0-9 and _, such as HMAC_ERP). Rename it."
  }
  validation {
    condition     = alltrue([for arn in values(var.secrets) : can(regex("^arn:aws[a-z-]*:(secretsmanager:[^:]+:[0-9]{12}:secret:[^:]+(:[^:]*:[^:]*:[^:]*)?|ssm:[^:]+:[0-9]{12}:parameter/.+)$", arn))])
    error_message = "A value in `secrets` is no ARN of a Secrets Manager secret or of an SSM parameter: give the ARN, never the secret itself (it would stand in the Terraform state)."
  }
}

variable "secrets_kms_key_arns" {
  description = "KMS keys of your own that `secrets` are encrypted with; the execution role may then decrypt with them."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.secrets_kms_key_arns : can(regex("^arn:aws[a-z-]*:kms:[^:]+:[0-9]{12}:key/.+$", arn))])
    error_message = "A value in `secrets_kms_key_arns` is no ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID): an alias does not do in a policy. Give the key's ARN."
  }
}
