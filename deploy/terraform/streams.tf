resource "aws_kinesis_stream" "this" {
  for_each = { for key, one in var.streams : key => one if one.existing_arn == null }

  name             = "${local.name}-${replace(each.key, "_", "-")}"
  shard_count      = each.value.shards
  retention_period = each.value.retention_hours
  encryption_type  = "KMS"
  kms_key_id       = coalesce(each.value.kms_key_arn, "alias/aws/kinesis")

  # A stream that somebody reads by enhanced fan-out is not deleted by mistake.
  enforce_consumer_deletion = false

  stream_mode_details {
    stream_mode = each.value.shards == null ? "ON_DEMAND" : "PROVISIONED"
  }

  tags = merge(local.tags, { Name = "${local.name}-${replace(each.key, "_", "-")}" })
}

locals {
  stream_arns  = { for key, one in var.streams : key => one.existing_arn == null ? aws_kinesis_stream.this[key].arn : one.existing_arn }
  stream_names = { for key, one in var.streams : key => one.existing_arn == null ? aws_kinesis_stream.this[key].name : element(split("/", one.existing_arn), 1) }
  stream_keys  = distinct([for one in values(var.streams) : one.kms_key_arn if one.kms_key_arn != null])
}
