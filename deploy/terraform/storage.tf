# EFS for the spool. Every task has a folder of its own in it; a live one delivers what a dead one has left.

resource "aws_efs_file_system" "spool" {
  for_each = toset(local.makes_efs ? ["spool"] : [])

  creation_token                  = "${local.name}-spool"
  encrypted                       = true
  kms_key_id                      = var.spool.efs.kms_key_arn
  performance_mode                = "generalPurpose"
  throughput_mode                 = var.spool.efs.throughput_mode
  provisioned_throughput_in_mibps = var.spool.efs.provisioned_mibps

  tags = merge(local.tags, { Name = "${local.name}-spool" })
}

resource "aws_efs_mount_target" "spool" {
  for_each = { for index, subnet in var.private_subnet_ids : tostring(index) => subnet if local.makes_efs }

  file_system_id  = aws_efs_file_system.spool["spool"].id
  subnet_id       = each.value
  security_groups = [aws_security_group.spool["spool"].id]
}

resource "aws_efs_access_point" "spool" {
  for_each = toset(local.has_efs ? ["spool"] : [])

  file_system_id = local.file_system_id

  posix_user {
    uid = local.user_id
    gid = local.user_id
  }
  root_directory {
    path = "/${local.name}/spool"
    creation_info {
      owner_uid   = local.user_id
      owner_gid   = local.user_id
      permissions = "0750"
    }
  }

  tags = merge(local.tags, { Name = "${local.name}-spool" })
}

# Nobody mounts it without TLS, without IAM, or beside the access point.
resource "aws_efs_file_system_policy" "spool" {
  for_each = aws_efs_file_system.spool

  file_system_id = each.value.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TasksThroughTheAccessPoint"
        Effect    = "Allow"
        Principal = { AWS = aws_iam_role.task.arn }
        Action    = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
        Resource  = each.value.arn
        Condition = { StringEquals = { "elasticfilesystem:AccessPointArn" = aws_efs_access_point.spool["spool"].arn } }
      },
      {
        Sid       = "NothingWithoutTls"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite", "elasticfilesystem:ClientRootAccess"]
        Resource  = each.value.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

# What lies in the spool is on its way: a restored copy would be sent twice.
resource "aws_efs_backup_policy" "spool" {
  for_each = aws_efs_file_system.spool

  file_system_id = each.value.id
  backup_policy {
    status = "DISABLED"
  }
}

locals {
  file_system_id = local.makes_efs ? aws_efs_file_system.spool["spool"].id : try(var.spool.efs.file_system_id, null)
  file_system_arn = local.makes_efs ? aws_efs_file_system.spool["spool"].arn : (
    "arn:${local.partition}:elasticfilesystem:${local.region}:${local.account_id}:file-system/${coalesce(local.file_system_id, "none")}"
  )
}
