locals {
  container_definition = {
    name      = local.container_name
    image     = var.image
    essential = true
    user      = "${local.user_id}:${local.user_id}"
    command   = ["serve"] # without the file of the image: what is set here is the whole configuration

    readonlyRootFilesystem = true
    stopTimeout            = 120 # the most that Fargate gives; the drain of the gateway fits in
    linuxParameters = {
      initProcessEnabled = true
      capabilities       = { add = [], drop = ["ALL"] }
    }
    ulimits = [{ name = "nofile", softLimit = var.nofile, hardLimit = var.nofile }]

    portMappings = [for port in sort([for port in concat([for one in values(local.targets) : one.port], [local.observe_port]) : format("%05d", port)]) : {
      containerPort = tonumber(port), hostPort = tonumber(port), protocol = "tcp"
    }]

    environment = [for name, value in local.gateway_environment : { name = name, value = value }]
    secrets     = [for name, arn in var.secrets : { name = name, valueFrom = arn }]

    mountPoints = concat(
      [{ sourceVolume = "data", containerPath = local.data_dir, readOnly = false }],
      [for key in local.has_efs ? ["spool"] : [] : { sourceVolume = key, containerPath = local.spool_dir, readOnly = false }],
    )
    volumesFrom    = []
    systemControls = []

    # ECS does not look at the image's own health check. Alive is enough here: whether traffic comes is for the load balancers.
    healthCheck = {
      command     = ["CMD", "iotlink", "healthcheck"]
      interval    = 30
      timeout     = 10
      retries     = 3
      startPeriod = 120
    }

    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = aws_cloudwatch_log_group.this.name
        "awslogs-region"        = local.region
        "awslogs-stream-prefix" = local.container_name
        # CloudWatch Logs being slow must not stop the gateway.
        "mode"            = "non-blocking"
        "max-buffer-size" = "25m"
      }
    }
  }
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_338:`logs.retention_days`: the log holds what happened to the service, records are elsewhere
  name              = "/iotlink/${local.name}"
  retention_in_days = var.logs.retention_days
  kms_key_id        = var.logs.kms_key_arn
  tags              = merge(local.tags, { Name = local.name })
}

resource "aws_ecs_task_definition" "this" {
  family                   = local.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = tostring(var.cpu)
  memory                   = tostring(var.memory_mib)
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn
  container_definitions    = jsonencode([local.container_definition])

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }

  ephemeral_storage {
    size_in_gib = var.ephemeral_storage_gib
  }

  # On the task's own disk, gone with it: the root file system is read-only.
  volume {
    name = "data"
  }

  dynamic "volume" {
    for_each = aws_efs_access_point.spool
    content {
      name = volume.key
      efs_volume_configuration {
        file_system_id     = local.file_system_id
        transit_encryption = "ENABLED"
        authorization_config {
          access_point_id = volume.value.id
          iam             = "ENABLED"
        }
      }
    }
  }

  lifecycle {
    precondition {
      condition     = length(jsonencode([local.container_definition])) < 60000
      error_message = "The container definition is larger than ECS takes (64 KiB in all): `settings` is too long. Keep lists of devices and keys in files of the image, or in `secrets`."
    }
    precondition {
      condition     = alltrue([for one in values(var.streams) : one.existing_arn == null || startswith(coalesce(one.existing_arn, "-"), "arn:${local.partition}:kinesis:${local.region}:${local.account_id}:stream/")])
      error_message = "An `existing_arn` in `streams` is of another account or region: the gateway writes to a stream by its name. Give one of ${local.account_id} in ${local.region}."
    }
    precondition {
      condition     = length(setintersection(keys(local.gateway_environment), keys(var.secrets))) == 0
      error_message = "`secrets` has a name that this module sets itself (${join(", ", setintersection(keys(local.gateway_environment), keys(var.secrets)))}): rename it, and refer to it from `settings`."
    }
  }

  tags = merge(local.tags, { Name = local.name })
}
