# Where records go, and where they wait.

variable "streams" {
  description = <<-EOT
    Kinesis streams by purpose: telemetry (needed; everything goes there), alerts (records of type alert, as well), raw
    (frames as they came), dead_letters (copies of what could not become records). What is left out is not there.
    `existing_arn`: a stream that exists already; without it one is made. `shards`: null is on-demand. `packing` as in the
    gateway's configuration. `kms_key_arn`: your own key (also that of an existing stream); null: the one of AWS.
  EOT
  type = map(object({
    existing_arn    = optional(string)
    shards          = optional(number)
    retention_hours = optional(number, 24)
    packing         = optional(string, "plain")
    kms_key_arn     = optional(string)
  }))
  default  = { telemetry = {}, alerts = {}, raw = {}, dead_letters = { retention_hours = 168 } }
  nullable = false

  validation {
    condition     = contains(keys(var.streams), "telemetry") && length(setsubtract(keys(var.streams), ["telemetry", "alerts", "raw", "dead_letters"])) == 0
    error_message = "`streams` must have telemetry, and may have alerts, raw and dead_letters: add or remove keys accordingly. Other streams go to other deployments."
  }
  validation {
    condition     = alltrue([for one in values(var.streams) : one.existing_arn == null || can(regex("^arn:aws[a-z-]*:kinesis:[^:]+:[0-9]{12}:stream/[a-zA-Z0-9_.-]{1,128}$", one.existing_arn))])
    error_message = "`existing_arn` in `streams` is no ARN of a data stream (arn:aws:kinesis:REGION:ACCOUNT:stream/NAME): copy it from the stream's page."
  }
  validation {
    condition     = alltrue([for one in values(var.streams) : contains(["plain", "aggregated", "ndjson"], one.packing)])
    error_message = "`packing` in `streams` must be plain, aggregated or ndjson: set what the consumers of that stream read."
  }
  validation {
    condition     = alltrue([for one in values(var.streams) : one.retention_hours >= 24 && one.retention_hours <= 8760 && (one.shards == null || try(one.shards >= 1, false))])
    error_message = "`retention_hours` in `streams` must be 24 to 8760, and `shards` at least 1 or null (on-demand). Set them within that."
  }
}

variable "ack_on" {
  description = "When a device gets its answer: spool (the data is on the EFS) or sink (Kinesis has it). null: spool with EFS, else sink."
  type        = string
  default     = null

  validation {
    condition     = var.ack_on == null || contains(["spool", "sink"], coalesce(var.ack_on, "spool"))
    error_message = "`ack_on` must be spool, sink or null: set one of these."
  }
  validation {
    condition     = coalesce(var.ack_on, "sink") != "spool" || var.spool.efs != null
    error_message = "`ack_on = \"spool\"` needs a spool that outlives its task, and the disk of a Fargate task does not: what was acknowledged would be lost with it. Set spool = { efs = {} }, or ack_on = \"sink\" (or leave it out)."
  }
}

variable "spool" {
  description = <<-EOT
    The gateway's spool. `max_gib`: most that it takes for each task. `efs`: on EFS, where another task delivers what a
    dead one has left; null: on the task's own disk. `efs.file_system_id`: an existing file system, whose security group
    `efs.security_group_id` lets NFS in from the tasks (a rule is added); without it one is made. `efs.kms_key_arn`: your own
    key. `efs.throughput_mode`: elastic, bursting, or provisioned with `efs.provisioned_mibps`.
  EOT
  type = object({
    max_gib = optional(number, 4)
    efs = optional(object({
      file_system_id    = optional(string)
      security_group_id = optional(string)
      kms_key_arn       = optional(string)
      throughput_mode   = optional(string, "elastic")
      provisioned_mibps = optional(number)
    }))
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.spool.max_gib >= 1 && var.spool.max_gib == floor(var.spool.max_gib) && (var.spool.efs != null || var.spool.max_gib + 4 <= var.ephemeral_storage_gib)
    error_message = "`spool.max_gib` must be a whole number of at least 1, and without EFS leave 4 GiB of `ephemeral_storage_gib` for dead letters and the image. Lower it, or raise `ephemeral_storage_gib`."
  }
  validation {
    condition     = var.spool.efs == null || (try(var.spool.efs.file_system_id, null) == null) == (try(var.spool.efs.security_group_id, null) == null)
    error_message = "`spool.efs.file_system_id` and `spool.efs.security_group_id` belong together: give both for an existing file system, or none for a new one."
  }
  validation {
    condition     = var.spool.efs == null || try(contains(["elastic", "bursting", "provisioned"], var.spool.efs.throughput_mode) && (var.spool.efs.throughput_mode == "provisioned" ? coalesce(var.spool.efs.provisioned_mibps, 0) >= 1 : var.spool.efs.provisioned_mibps == null), false)
    error_message = "`spool.efs.throughput_mode` must be elastic, bursting or provisioned, the last with `provisioned_mibps` and only that one. Set them so."
  }
}

variable "ephemeral_storage_gib" {
  description = "Disk of a task: its image, the spool without EFS, dead letters."
  type        = number
  default     = 21

  validation {
    condition     = var.ephemeral_storage_gib >= 21 && var.ephemeral_storage_gib <= 200
    error_message = "`ephemeral_storage_gib` must be 21 to 200, the range of Fargate. Set it within that."
  }
}
