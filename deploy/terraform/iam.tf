# Two roles. The execution role is that of ECS before the container runs: image, secrets, log. The task role is that of the
# gateway: its streams, its spool, and nothing else.

locals {
  tasks_only = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TasksOfThisAccount"
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:ecs:${local.region}:${local.account_id}:*" }
      }
    }]
  })

  # The policy wants the secret, not `:KEY:STAGE:VERSION` behind it.
  secret_arns    = distinct([for arn in values(var.secrets) : join(":", slice(split(":", arn), 0, 7)) if strcontains(arn, ":secretsmanager:")])
  parameter_arns = distinct([for arn in values(var.secrets) : arn if strcontains(arn, ":ssm:")])

  execution_statements = concat(
    [{
      Sid      = "Log"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["${aws_cloudwatch_log_group.this.arn}:*"]
    }],
    [for arn in var.ecr_repository_arn[*] : {
      Sid      = "Image"
      Effect   = "Allow"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = [arn]
    }],
    # This action knows no resource.
    [for arn in var.ecr_repository_arn[*] : { Sid = "Registry", Effect = "Allow", Action = ["ecr:GetAuthorizationToken"], Resource = ["*"] }],
    [for arns in [local.secret_arns] : { Sid = "Secrets", Effect = "Allow", Action = ["secretsmanager:GetSecretValue"], Resource = arns } if length(arns) > 0],
    [for arns in [local.parameter_arns] : { Sid = "Parameters", Effect = "Allow", Action = ["ssm:GetParameters"], Resource = arns } if length(arns) > 0],
    [for arns in [var.secrets_kms_key_arns] : { Sid = "SecretKeys", Effect = "Allow", Action = ["kms:Decrypt"], Resource = arns } if length(arns) > 0],
  )

  task_statements = concat(
    [{
      Sid    = "Streams"
      Effect = "Allow"
      Action = ["kinesis:DescribeStreamSummary", "kinesis:ListShards", "kinesis:PutRecords"]
      # Sorted: the order of a map's values may not make a change.
      Resource = [for key in sort(keys(local.stream_arns)) : local.stream_arns[key]]
    }],
    [for arns in [local.stream_keys] : { Sid = "StreamKeys", Effect = "Allow", Action = ["kms:GenerateDataKey"], Resource = arns } if length(arns) > 0],
    [for key in local.has_efs ? ["spool"] : [] : {
      Sid       = "Spool"
      Effect    = "Allow"
      Action    = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
      Resource  = [local.file_system_arn]
      Condition = { StringEquals = { "elasticfilesystem:AccessPointArn" = aws_efs_access_point.spool[key].arn } }
    }],
  )
}

resource "aws_iam_role" "execution" {
  name               = "${local.name}-execution"
  description        = "ECS for ${local.name}: pulls the image, reads the secrets, opens the log"
  assume_role_policy = local.tasks_only
  tags               = local.tags
}

resource "aws_iam_role_policy" "execution" {
  name   = "execution"
  role   = aws_iam_role.execution.name
  policy = jsonencode({ Version = "2012-10-17", Statement = local.execution_statements })
}

resource "aws_iam_role" "task" {
  name               = "${local.name}-task"
  description        = "The gateway of ${local.name}: writes to its streams"
  assume_role_policy = local.tasks_only
  tags               = local.tags
}

resource "aws_iam_role_policy" "task" {
  name   = "task"
  role   = aws_iam_role.task.name
  policy = jsonencode({ Version = "2012-10-17", Statement = local.task_statements })
}

# ECS moves the load balancers' traffic at a blue/green deployment.
resource "aws_iam_role" "traffic" {
  for_each = toset(local.blue_green ? ["traffic"] : [])

  name        = "${local.name}-traffic"
  description = "ECS for ${local.name}: moves traffic at blue/green deployments"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "EcsOfThisAccount"
      Effect    = "Allow"
      Principal = { Service = "ecs.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
  tags = local.tags
}

resource "aws_iam_role_policy_attachment" "traffic" {
  for_each = aws_iam_role.traffic

  role       = each.value.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/AmazonECSInfrastructureRolePolicyForLoadBalancers"
}
