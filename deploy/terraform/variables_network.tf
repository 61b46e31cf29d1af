# Where it stands and who reaches it: an existing VPC, its subnets, the NLB for devices.

variable "vpc_id" {
  description = "The existing VPC."
  type        = string

  validation {
    condition     = can(regex("^vpc-[0-9a-f]+$", var.vpc_id))
    error_message = "`vpc_id` is no id of a VPC (vpc-...): give that of the VPC in which the subnets are."
  }
}

variable "private_subnet_ids" {
  description = "Private subnets of that VPC, in at least two availability zones, for the tasks and the spool. They need a way to ECR, Kinesis, CloudWatch Logs and the secrets: a NAT gateway or VPC endpoints."
  type        = list(string)

  validation {
    condition     = length(distinct(var.private_subnet_ids)) >= 2 && length(distinct(var.private_subnet_ids)) == length(var.private_subnet_ids)
    error_message = "`private_subnet_ids` must name at least two different subnets: one availability zone may fail. Add one of another zone."
  }
}

variable "load_balancer_subnet_ids" {
  description = "Subnets of the load balancers; null: the private ones. A load balancer with `internal = false` needs public ones."
  type        = list(string)
  default     = null

  validation {
    condition     = var.load_balancer_subnet_ids == null || try(length(distinct(var.load_balancer_subnet_ids)) >= 2, false)
    error_message = "`load_balancer_subnet_ids` must name at least two subnets, or be null for the private ones: an ALB takes no fewer. Add one of another zone."
  }
  validation {
    condition     = var.load_balancer_subnet_ids != null || try(var.nlb.internal, true) && try(var.rest.internal, true)
    error_message = "`load_balancer_subnet_ids` must name public subnets when `nlb.internal` or `rest.internal` is false: the private ones cannot be reached from the internet."
  }
}

variable "nlb" {
  description = <<-EOT
    The load balancer for TCP and MQTT; needed with `tcp_listeners` or `mqtt_listeners`. `cidr_blocks`: who may connect
    (fleets in mobile networks: 0.0.0.0/0, knowingly). `certificate_arn` (ACM): for listeners with `tls`. `access_logs_bucket`:
    an S3 bucket whose policy lets the NLB write (only TLS listeners are logged).
  EOT
  type = object({
    cidr_blocks        = list(string)
    internal           = optional(bool, true)
    certificate_arn    = optional(string)
    ssl_policy         = optional(string, "ELBSecurityPolicy-TLS13-1-2-2021-06")
    cross_zone         = optional(bool, true)
    access_logs_bucket = optional(string)
  })
  default = null

  validation {
    condition     = var.nlb != null || length(var.tcp_listeners) + length(var.mqtt_listeners) == 0
    error_message = "`tcp_listeners` and `mqtt_listeners` need `nlb`: write nlb = { cidr_blocks = [...] } to say who may connect."
  }
  validation {
    condition     = var.nlb == null || length(var.tcp_listeners) + length(var.mqtt_listeners) > 0
    error_message = "`nlb` is set and there are no `tcp_listeners` or `mqtt_listeners`: add a listener, or remove `nlb`."
  }
  validation {
    condition     = var.nlb == null || try(length(var.nlb.cidr_blocks) > 0 && alltrue([for block in var.nlb.cidr_blocks : can(cidrhost(block, 0))]), false)
    error_message = "`nlb.cidr_blocks` must list at least one block such as 10.0.0.0/8: no device could connect otherwise. Name who may."
  }
  validation {
    condition     = !anytrue(concat([for one in values(var.tcp_listeners) : one.tls], [for one in values(var.mqtt_listeners) : one.tls])) || try(can(regex("^arn:aws[a-z-]*:acm:[^:]+:[0-9]{12}:certificate/.+$", var.nlb.certificate_arn)), false)
    error_message = "A listener has `tls = true`, and `nlb.certificate_arn` is no ARN of an ACM certificate: request or import one in the same region and give its ARN."
  }
}

variable "extra_egress" {
  description = "Further ways out of the tasks beside HTTPS, by name: brokers of `settings.sources`, for example."
  type = map(object({
    cidr_block = string
    port       = number
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for one in values(var.extra_egress) : can(cidrhost(one.cidr_block, 0)) && one.port >= 1 && one.port <= 65535])
    error_message = "An entry in `extra_egress` has no block such as 10.0.0.0/8 or no port of 1 to 65535. Mend it."
  }
}

variable "discovery" {
  description = <<-EOT
    Cloud Map, so that Prometheus finds the tasks (`dns_sd_configs`, type A, port 9464). `namespace_id`: an existing private
    DNS namespace; without it one of the name `namespace_name` is made. `scraper_security_group_ids`: who may read metrics.
    null: no Cloud Map.
  EOT
  type = object({
    namespace_id               = optional(string)
    namespace_name             = optional(string)
    scraper_security_group_ids = optional(map(string), {})
  })
  default = {}

  validation {
    condition     = var.discovery == null || !(try(var.discovery.namespace_id, null) != null && try(var.discovery.namespace_name, null) != null)
    error_message = "`discovery` has `namespace_id` and `namespace_name`: an existing namespace has its name already. Remove one of the two."
  }
}
