resource "aws_appautoscaling_target" "tasks" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${local.cluster_name}/${local.service_name}"
  min_capacity       = var.autoscaling.min_tasks
  max_capacity       = var.autoscaling.max_tasks

  depends_on = [aws_ecs_service.rolling, aws_ecs_service.blue_green]

  tags = local.tags
}

resource "aws_appautoscaling_policy" "cpu" {
  name               = "${local.name}-cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.tasks.service_namespace
  scalable_dimension = aws_appautoscaling_target.tasks.scalable_dimension
  resource_id        = aws_appautoscaling_target.tasks.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.autoscaling.cpu_percent
    scale_out_cooldown = var.autoscaling.scale_out_cooldown_s
    scale_in_cooldown  = var.autoscaling.scale_in_cooldown_s

    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}

# Each task writes how many sessions it holds: the average is sessions per task.
resource "aws_appautoscaling_policy" "sessions" {
  for_each = toset(var.autoscaling.sessions_per_task == null ? [] : ["sessions"])

  name               = "${local.name}-sessions"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.tasks.service_namespace
  scalable_dimension = aws_appautoscaling_target.tasks.scalable_dimension
  resource_id        = aws_appautoscaling_target.tasks.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.autoscaling.sessions_per_task
    scale_out_cooldown = var.autoscaling.scale_out_cooldown_s
    scale_in_cooldown  = var.autoscaling.scale_in_cooldown_s

    customized_metric_specification {
      namespace   = var.emf_namespace
      metric_name = "sessions"
      statistic   = "Average"
      unit        = "Count"

      dimensions {
        name  = "service"
        value = local.name
      }
    }
  }
}
